"""What a worker tells of its events, on the topic ``drift-summaries``: small, and adds up. Pure.

MessagePack inside, one message every few seconds and worker. A summary of summaries is a summary, so that the
owner's windows and its reference are of the same type, and are stored as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from encoders.errors import DataError
from streams.drift.population import BUCKETS, Counts, Values
from streams.drift.text_shift import PROJECTED, Vectors

MAX_BYTES = 1_048_576
MAX_RANKS = 65_536
MAX_SAMPLE = 1_024
MAX_VERSIONS = 8
NO_COUNTS = bytes(8 * BUCKETS)

Flags = npt.NDArray[np.bool_]


class DriftSummary(Struct, frozen=True, kw_only=True):
    """Events of one worker since its last summary, or of several workers; the arrays are packed."""

    model: str
    version: str
    """The version that serves."""
    serving_since_ms: int
    """Since when it does, by the worker's clock: of two versions the later one counts."""
    from_ms: int
    until_ms: int
    """Times of the first and the last event's records on Kafka."""
    events: int
    category_counts: bytes = NO_COUNTS
    item_counts: bytes = NO_COUNTS
    cold_item_flags: bytes = b""
    """A byte an event: 1 where its item had few events before."""
    cold_user_flags: bytes = b""
    ranks: Mapping[str, bytes] = {}
    """Version -> a byte for each event of a user whose list that version had made: the item's place in it,
    from 1; 0 where it was not there."""
    text_sample: bytes = b""
    score_sample: bytes = b""

    @property
    def categories(self) -> Counts:
        """[64]: events by bucket of the item's narrowest category."""
        return np.frombuffer(self.category_counts, "<i8")

    @property
    def items(self) -> Counts:
        """[64]: events by bucket of the item."""
        return np.frombuffer(self.item_counts, "<i8")

    @property
    def texts(self) -> Vectors:
        """[s, 32]: projected text vectors of the items of some events, one event a user."""
        return np.frombuffer(self.text_sample, "<f2").reshape(-1, PROJECTED).astype(np.float32)

    @property
    def scores(self) -> Values:
        """[s]: first scores of some lists."""
        return np.frombuffer(self.score_sample, "<f4").astype(np.float32)


def pack_counts(counts: npt.ArrayLike) -> bytes:
    """Counts [64] as a summary holds them."""
    return np.asarray(counts, "<i8").tobytes()


def pack_texts(texts: Vectors) -> bytes:
    """Projected vectors [s, 32] as a summary holds them."""
    return texts.astype("<f2").tobytes()


def pack_scores(scores: npt.ArrayLike) -> bytes:
    """Scores [s] as a summary holds them."""
    return np.asarray(scores, "<f4").tobytes()


def merged(first: DriftSummary, second: DriftSummary, sample: int) -> DriftSummary:
    """Both as one; of texts and scores no more than ``sample`` are kept, an even choice."""
    return DriftSummary(
        model=second.model,
        version=second.version,
        serving_since_ms=second.serving_since_ms,
        from_ms=min(first.from_ms, second.from_ms),
        until_ms=max(first.until_ms, second.until_ms),
        events=first.events + second.events,
        category_counts=pack_counts(first.categories + second.categories),
        item_counts=pack_counts(first.items + second.items),
        cold_item_flags=first.cold_item_flags + second.cold_item_flags,
        cold_user_flags=first.cold_user_flags + second.cold_user_flags,
        ranks={
            version: first.ranks.get(version, b"") + second.ranks.get(version, b"")
            for version in {**first.ranks, **second.ranks}
        },
        text_sample=pack_texts(thinned(np.concatenate([first.texts, second.texts]), sample)),
        score_sample=pack_scores(thinned(np.concatenate([first.scores, second.scores]), sample)),
    )


def thinned(values: Values, most: int) -> Values:
    """At most ``most`` of values [s, ...], evenly spaced."""
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).astype(np.int64)]


def encode_summary(summary: DriftSummary) -> bytes:
    """The message's value."""
    return _encoder.encode(summary)


def decode_summary(value: bytes | None) -> DriftSummary:
    """Read a message; raises ``DataError`` where it is none."""
    if value is None or len(value) > MAX_BYTES:
        raise DataError("a message on drift-summaries is empty or too large: only workers may write to it")
    try:
        summary = _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise DataError(
            f"a message on drift-summaries cannot be read ({error}): only workers may write to it"
        ) from None
    if not _is_sound(summary):
        raise DataError("a message on drift-summaries contradicts itself: only workers may write to it")
    return summary


def _is_sound(one: DriftSummary) -> bool:
    """Whether lengths fit each other and numbers are finite."""
    sizes = (len(one.category_counts), len(one.item_counts))
    if sizes != (len(NO_COUNTS),) * 2 or len(one.text_sample) % (2 * PROJECTED) or len(one.score_sample) % 4:
        return False
    counts = np.stack([one.categories, one.items])
    flags = max(len(one.cold_item_flags), len(one.cold_user_flags))
    return bool(
        0 < one.events <= MAX_BYTES
        and flags <= one.events
        and one.from_ms <= one.until_ms
        and counts.min() >= 0
        and counts.sum(axis=1).max() <= one.events
        and len(one.ranks) <= MAX_VERSIONS
        and max(map(len, one.ranks.values()), default=0) <= min(one.events, MAX_RANKS)
        and np.isfinite(one.texts).all()
        and np.isfinite(one.scores).all()
    )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DriftSummary)
