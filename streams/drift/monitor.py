"""The decision: windows against their reference, streams against their past, and whether to train. Pure.

All times are those of records on Kafka, so that the same summaries lead to the same decisions, whenever and
by whomever they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct

from encoders.errors import StoreError
from streams.drift.last_lists import gain
from streams.drift.readings import STREAMS, Level, Reading, stream_readings, window_readings
from streams.drift.sequential import ChangeDetector
from streams.drift.summary import DriftSummary, merged
from streams.messages import TrainingReason, TrainingRequest
from streams.settings_sections import DriftSettings

FORMAT = 1
REMEMBERED = 16_384
"""Values of each stream that outlive a restart: what the detectors of the next owner are fed first."""
MAX_STATE_BYTES = 8 * 1_048_576

Decision = Literal["learning", "none", "warning", "drift", "periodic", "held"]
"""``learning`` the reference; ``held`` back by the cool-down."""
DECISIONS: tuple[Decision, ...] = ("learning", "none", "warning", "drift", "periodic", "held")


class MonitorState(Struct, kw_only=True):
    """All that the owner must not forget; some 150 kB at the default settings."""

    format: int = FORMAT
    version: str = ""
    since_ms: int = 0
    offsets: dict[str, int] = {}
    """Partition -> offset of the last summary that was taken in."""
    reference: list[DriftSummary] = []
    open: DriftSummary | None = None
    """The window that is being filled."""
    streams: dict[str, bytes] = {}
    """Name -> its last values: ranks, or flags."""
    runs: dict[str, int] = {}
    """Detector -> windows in a row that it was at drift."""
    judged: int = 0
    began_ms: int = 0
    requested_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one window came to."""

    version: str
    window: DriftSummary
    readings: list[Reading]
    levels: Mapping[str, Level]
    """Detector -> its level, the windows in a row counted."""
    decision: Decision
    request: TrainingRequest | None

    @property
    def recall(self) -> float | None:
        """Share of the scored events of the window whose item was in the list before; None without any."""
        ranks = self.window.ranks.get(self.version)
        return 1 - ranks.count(0) / len(ranks) if ranks else None

    @property
    def ndcg(self) -> float | None:
        """Mean gain of the same events."""
        ranks = self.window.ranks.get(self.version)
        return sum(map(gain, ranks)) / len(ranks) if ranks else None


class DriftMonitor:
    """Takes summaries in and judges a window whenever ``window_events`` are together."""

    def __init__(self, settings: DriftSettings, state: MonitorState | None = None) -> None:
        self._settings = settings
        self.state = state or MonitorState()
        self._detectors = self._new_detectors()
        for stream, values in self.state.streams.items():
            self._detectors[stream].update(_values(stream, values))

    def take(self, summary: DriftSummary, source: str = "", offset: int = 0) -> Judgement | None:
        """Take a summary in, unless it was (``source``, ``offset``); a judgement at the end of a window.

        Summaries of a version that was replaced are left out.
        """
        state = self.state
        if offset <= state.offsets.get(source, -1):
            return None
        state.offsets[source] = offset
        if summary.version != state.version:
            if summary.serving_since_ms < state.since_ms:
                return None
            self._begin(summary)
        sample = self._settings.sample
        state.open = merged(state.open, summary, sample) if state.open else summary
        self._feed(summary)
        if state.open.events < self._settings.window_events:
            return None
        window, state.open = state.open, None
        return self._judge(window)

    def _begin(self, summary: DriftSummary) -> None:
        """Another version serves: everything is compared with what comes from now on."""
        state = self.state
        state.version, state.since_ms = summary.version, summary.serving_since_ms
        state.reference, state.open, state.runs = [], None, {}
        state.began_ms = summary.until_ms
        self._forget_streams()

    def _forget_streams(self) -> None:
        self.state.streams = {}
        self._detectors = self._new_detectors()

    def _feed(self, summary: DriftSummary) -> None:
        ranks = summary.ranks.get(self.state.version, b"")
        fed = {
            "recall": ranks,
            "ndcg": ranks,
            "cold_items": summary.cold_item_flags,
            "cold_users": summary.cold_user_flags,
        }
        for stream, values in fed.items():
            self._detectors[stream].update(_values(stream, values))
            self.state.streams[stream] = (self.state.streams.get(stream, b"") + values)[-REMEMBERED:]

    def _judge(self, window: DriftSummary) -> Judgement:
        state, settings = self.state, self._settings
        state.judged += 1
        readings = [
            reading
            for stream in STREAMS
            for reading in stream_readings(stream, self._detectors[stream].change, settings)
        ]
        if len(state.reference) < settings.reference_windows:
            state.reference = [*state.reference, _counts_and_samples(window)]
            levels, learning = {one.detector: one.level for one in readings}, True
        else:
            compared = window_readings(state.reference, window, settings, seed=state.judged)
            levels, learning = self._levels(compared, readings), False
            readings = compared + readings
        decision, reasons = self._decide(readings, levels, window.until_ms, learning)
        request = self._request(window, reasons) if reasons else None
        return Judgement(state.version, window, readings, levels, decision, request)

    def _levels(self, compared: list[Reading], streams: list[Reading]) -> dict[str, Level]:
        """A shift of windows is drift when it lasts; what the sequential detectors say holds at once."""
        state, levels = self.state, {one.detector: one.level for one in streams}
        for one in compared:
            state.runs[one.detector] = state.runs.get(one.detector, 0) + 1 if one.level is Level.DRIFT else 0
            lasting = state.runs[one.detector] >= self._settings.consecutive
            levels[one.detector] = Level.DRIFT if lasting else min(one.level, Level.WARNING)
        return levels

    def _decide(
        self, readings: list[Reading], levels: Mapping[str, Level], now_ms: int, learning: bool
    ) -> tuple[Decision, list[TrainingReason]]:
        """The decision, and the reasons of a request where it is one."""
        settings, state = self._settings, self.state
        alarmed = [
            one
            for one in readings
            if levels[one.detector] is Level.DRIFT and one.detector not in settings.warn_only
        ]
        if alarmed:
            free_ms = (state.requested_ms or 0) + 1000 * settings.cool_down_seconds
            if state.requested_ms is not None and now_ms < free_ms:
                return "held", []
            return "drift", [_reason(one) for one in alarmed]
        quiet_ms = now_ms - max(state.began_ms, state.requested_ms or 0)
        if 0 < 1000 * settings.max_interval_seconds <= quiet_ms:
            days = settings.max_interval_seconds / 86_400
            return "periodic", [TrainingReason(kind="periodic", detail=f"no training for {days:g} days")]
        if learning:
            return "learning", []
        return ("warning" if max(levels.values()) else "none"), []

    def _request(self, window: DriftSummary, reasons: list[TrainingReason]) -> TrainingRequest:
        """Ask; what the sequential detectors found is used up by it, and the windows in a row as well."""
        state = self.state
        state.requested_ms, state.runs = window.until_ms, {}
        self._forget_streams()
        return TrainingRequest(
            # The same after a fault: whoever trains can tell a repetition.
            request_id=f"{state.version}-{state.judged}-{window.until_ms}",
            model=window.model,
            parent=state.version,
            reasons=reasons,
            window_from_ms=max(0, window.until_ms - round(1000 * self._settings.train_on_seconds)),
            window_until_ms=window.until_ms,
            requested_at=window.until_ms,
        )

    def _new_detectors(self) -> dict[str, ChangeDetector]:
        settings = self._settings
        new = partial(
            ChangeDetector,
            delta=settings.adwin_delta,
            threshold=settings.page_hinkley,
            least=settings.least_scored,
        )
        return {
            stream: new("rise", allowed=settings.cold_rise / 2) if stream.startswith("cold") else new("fall")
            for stream in STREAMS
        }


def pack_state(state: MonitorState) -> bytes:
    """The bytes that the store keeps."""
    return _encoder.encode(state)


def unpack_state(blob: bytes) -> MonitorState:
    """Read :func:`pack_state`'s bytes; raises ``StoreError`` when they are damaged or of a newer Freshet."""
    if len(blob) > MAX_STATE_BYTES:
        raise StoreError("the stored state of drift detection is too large: was it written by Freshet?")
    try:
        state = _decoder.decode(blob)
    except msgspec.DecodeError as error:
        raise StoreError(f"the stored state of drift detection cannot be read ({error})") from None
    if state.format != FORMAT:
        raise StoreError(f"the stored state of drift detection has format {state.format}, not {FORMAT}")
    return state


def _values(stream: str, values: bytes) -> list[float]:
    """Ranks as hits or gains, flags as they are."""
    if stream == "ndcg":
        gains = np.array([gain(rank) for rank in range(256)])
        return gains[np.frombuffer(values, np.uint8)].tolist()  # type: ignore[no-any-return]
    return [float(value > 0) for value in values]


def _counts_and_samples(window: DriftSummary) -> DriftSummary:
    """What later windows are compared with: the streams are in the detectors."""
    return msgspec.structs.replace(window, ranks={}, cold_item_flags=b"", cold_user_flags=b"")


def _reason(one: Reading) -> TrainingReason:
    return TrainingReason(
        kind="drift",
        detector=one.detector,
        statistic=round(one.statistic, 6),
        threshold=round(one.drift, 6),
        detail=f"{one.detector} is {one.statistic:.4g}, above {one.drift:.4g}",
    )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(MonitorState)
