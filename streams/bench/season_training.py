"""One training of the season bench: rows of a window, the arm's ranker tuned on them, and the gate. Torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from encoders.gate.decision import Slice, Soundness, judge
from encoders.gate.report import GateReport, refusal
from encoders.ranker import Ranker, RankerConfig
from encoders.ranker_tuning import tune_ranker
from streams.bench.season_cases import Case, Cases, measured, rank_of, rows_of
from streams.bench.season_figures import Training
from streams.bench.season_triggers import Request
from streams.settings_sections import TrainerSettings
from streams.trainer.judgement import NEWEST, OLDER, thresholds_of

OLDER_SHARE = 0.25
"""Of the window's length: how much of what came before it is the reference."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """A window's cases: trained on, asked about by the gate, and the reference from before the window."""

    training: list[Case]
    newest: list[Case]
    older: list[Case]

    @property
    def cpu_seconds(self) -> float:
        return sum(case.cpu_seconds for part in (self.training, self.newest, self.older) for case in part)


def fine_tune(
    champion: Ranker | None, cases: Cases, request: Request, settings: TrainerSettings, config: RankerConfig
) -> tuple[Ranker | None, Training]:
    """Tune ``champion`` as a request asks; the ranker that serves from now on, and what was done.

    As the trainer does: the newest ``validation_share`` of the window is the gate's, the rest is trained on,
    ``ranker_rows`` at most.
    """
    parts = _parts(cases, request, settings, config.seed)
    begun = time.process_time()
    rows = rows_of(parts.training)
    tuned = tune_ranker(champion, rows[0], config) if rows else None
    if tuned is None or not tuned.improved or not parts.newest:
        report = refusal("champion", "challenger", "trained", "nothing better than the champion was found")
    else:
        report = _gate(champion, tuned.ranker, parts, settings)
    seconds = parts.cpu_seconds + time.process_time() - begun
    training = _training(request, report, 0 if tuned is None else tuned.rows, seconds)
    return (tuned.ranker if tuned is not None and report.passed else champion), training


def _parts(cases: Cases, request: Request, settings: TrainerSettings, seed: int) -> _Parts:
    window = cases.between(request.start, request.end)
    boundary = window[int(len(window) * (1.0 - settings.validation_share))].basket.seconds if window else 0.0
    before = request.start - OLDER_SHARE * (request.end - request.start)
    return _Parts(
        _drawn(cases.between(request.start, boundary), settings.ranker_rows, seed),
        _drawn(cases.between(boundary, request.end), settings.gate_cases, seed) if window else [],
        _drawn(cases.between(before, request.start), settings.gate_cases, seed),
    )


def _drawn(cases: Sequence[Case], most: int, seed: int) -> list[Case]:
    """At most ``most`` of them, in their order."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(cases))[:most])
    return [cases[at] for at in chosen.tolist()]


def _gate(
    champion: Ranker | None, challenger: Ranker | None, parts: _Parts, settings: TrainerSettings
) -> GateReport:
    slices = [
        Slice(
            name,
            np.array([case.basket.user for case in part], np.int64),
            measured(part, rank_of(champion)),
            measured(part, rank_of(challenger)),
        )
        for name, part in ((NEWEST, parts.newest), (OLDER, parts.older))
        if part
    ]
    not_finite = sum(int((~np.isfinite(one.challenger.ndcg)).sum()) for one in slices)
    # The towers are the same: their spread and their cost cannot differ.
    sound = Soundness(not_finite, 1.0, 1.0, 1.0, 1.0)
    return judge("champion", "challenger", slices[0], slices[1:], sound, thresholds_of(settings))


def _training(request: Request, report: GateReport, rows: int, seconds: float) -> Training:
    newest = report.slices[0] if report.slices else None
    return Training(
        at=datetime.fromtimestamp(request.end, UTC).isoformat(timespec="minutes"),
        reasons=request.reasons,
        rows=rows,
        cpu_seconds=seconds,
        released=report.passed,
        failed=[check.name for check in report.failed],
        difference=newest.difference if newest else None,
        low=newest.low if newest else None,
        high=newest.high if newest else None,
    )
