"""SASRec's settings: which are tried, and when a training ends. RecTools itself is not needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from encoders.evaluation.sasrec_rectools import windows
from streams.cli import evaluate_sasrec
from streams.cli.evaluate_sasrec import EPOCHS, GRID, tune_sasrec

ENOUGH = EPOCHS[1]
"""Epochs after which the training below gains nothing more."""


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The epochs that each training ran, where a figure grows with factors, and with epochs up to a point."""
    started: list[list[int]] = []

    def lists(
        timeline: object, python: Path, seed: int, settings: object, epochs: tuple[int, ...]
    ) -> Iterator[int]:
        started.append([])
        for count in epochs:
            started[-1].append(count)
            yield count

    def figure(settings: dict[str, float], timeline: object) -> float:
        own = settings.get("own", 0.0) * settings.get("own_decay", 1.0)
        return min(settings["epochs"], ENOUGH) + settings["factors"] - settings["length"] / 100 + own

    monkeypatch.setattr(evaluate_sasrec, "validation", lambda timeline: timeline)
    monkeypatch.setattr(evaluate_sasrec, "_lists", lists)
    monkeypatch.setattr(evaluate_sasrec, "_method", lambda lists, settings: settings)
    monkeypatch.setattr(evaluate_sasrec, "ndcg", figure)
    return started


def tuned(repeats: bool) -> dict[str, float]:
    trials = tune_sasrec(SimpleNamespace(repeats=repeats), Path("python"), seed=0)
    return max(trials, key=lambda trial: trial[1])[0]


def test_a_training_ends_where_more_epochs_are_no_better(trainings):
    tuned(repeats=False)
    assert trainings == [list(EPOCHS[:3])] * len(trainings)


def test_every_value_of_the_grid_is_trained_once_from_the_best_so_far(trainings):
    assert tuned(repeats=False) == {
        "factors": max(GRID["factors"]),
        "length": min(GRID["length"]),
        "epochs": ENOUGH,
    }
    assert len(trainings) == 1 + sum(len(values) - 1 for values in GRID.values())


def test_the_own_history_is_added_where_things_repeat(trainings):
    assert tuned(repeats=True)["own"] == 16.0


def test_windows_hold_all_events_and_end_with_each_users_newest():
    users = np.array([7, 3, 7, 7, 3, 7, 7])  # 7 five times: windows of 1, 2 and 2 events; 3 twice
    found = windows(users, 2)
    parts = [np.flatnonzero(found == window).tolist() for window in np.unique(found)]
    assert sorted(parts) == [[0], [1, 4], [2, 3], [5, 6]]
