"""SASRec as a baseline: trained and asked in an environment of its own, replayed like the others."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from encoders.errors import SettingsError
from encoders.evaluation import sasrec_rectools
from encoders.evaluation.baselines import OWN, Settings, ndcg
from encoders.evaluation.fixed_lists import FixedLists
from encoders.evaluation.progressive import QUANTILE, validation
from encoders.evaluation.streaming import StreamingMethod, UserHistories
from encoders.evaluation.timeline import Events, Integers, Timeline, baskets_of

SASREC = "sasrec"
EPOCHS = (2, 5, 10, 20)
"""Tried of each training, with all of ``OWN``, until more are no better."""
GRID: dict[str, tuple[int, ...]] = {"factors": (64, 128), "length": (50, 20)}
"""Tried, one setting after the other; the first of each is the default."""
DEFAULT: Settings = {setting: values[0] for setting, values in GRID.items()}
LISTED = 100

Lists = dict[tuple[int, float], Integers]
"""Each basket's list by (user, seconds)."""
Trials = Iterator[tuple[Settings, float]]
"""Settings tried and their NDCG@10 on the last fifth of the past."""


def sasrec(timeline: Timeline, python: Path, seed: int, settings: Settings) -> StreamingMethod:
    """Train on the past and make all lists of the replay, each from what its user did before.

    Raises ``SettingsError`` where ``python`` cannot run RecTools.
    """
    with closing(_lists(timeline, python, seed, settings, [int(settings.get("epochs", 10))])) as made:
        return _method(next(made), settings)


def tune_sasrec(timeline: Timeline, python: Path, seed: int) -> Trials:
    """Every training of the grid, one setting varied after the other from the best so far."""
    inner = validation(timeline)
    best, reached = DEFAULT, 0.0
    trained: list[Settings] = []
    for setting, values in GRID.items():
        for value in values:
            model = {key: best[key] for key in GRID} | {setting: value}
            if model in trained:
                continue
            trained.append(model)
            for trial, found in _training(inner, python, seed, model):
                yield trial, found
                if found > reached:
                    best, reached = trial, found


def _training(inner: Timeline, python: Path, seed: int, model: Settings) -> Trials:
    """One training, looked at after each of ``EPOCHS``; stopped where it is no better than at the last."""
    before = 0.0
    with closing(_lists(inner, python, seed, model, EPOCHS)) as made:
        for epochs, lists in zip(EPOCHS, made):
            reached = 0.0
            for trial, found in _with_own(lists, inner, {**model, "epochs": epochs}):
                yield trial, found
                reached = max(reached, found)
            if reached <= before:
                return
            before = reached


def _with_own(lists: Lists, inner: Timeline, settings: Settings) -> Trials:
    """Where things repeat, all shares of the own history, then its decays at the best share."""
    best, reached = settings, ndcg(_method(lists, settings), inner)
    yield settings, reached
    for setting, values in OWN.items() if inner.repeats else ():
        for trial in [{**best, setting: value} for value in values if value]:
            found = ndcg(_method(lists, trial), inner)
            yield trial, found
            if found > reached:
                best, reached = trial, found


def _method(lists: Lists, settings: Settings) -> StreamingMethod:
    return FixedLists(SASREC, lists).adding_own(**{key: settings[key] for key in OWN if key in settings})


def _lists(
    timeline: Timeline, python: Path, seed: int, settings: Settings, epochs: Sequence[int]
) -> Generator[Lists]:
    """The lists of a training after each number of epochs; closing it ends the training."""
    past, future = timeline.events.split(QUANTILE)
    model = {**DEFAULT, **settings}
    keys, histories = _asked(past, future, int(model["length"]))
    with TemporaryDirectory(prefix="freshet-sasrec-") as folder:
        source = Path(folder) / "in.npz"
        np.savez(
            source,
            users=past.users,
            items=past.items,
            offsets=np.cumsum([0, *map(len, histories)]),
            history=np.concatenate(histories),
            epochs=np.array(epochs),
            k=LISTED,
            repeats=timeline.repeats,
            seed=seed,
            factors=model["factors"],
            length=model["length"],
        )
        for target in _run(python, source, len(epochs)):
            yield dict(zip(keys, np.load(target, allow_pickle=False)))


def _asked(past: Events, future: Events, length: int) -> tuple[list[tuple[int, float]], list[Integers]]:
    """Every basket's (user, seconds), and the newest ``length`` events of its user before it."""
    known = UserHistories()
    for basket in baskets_of(past):
        known.add(basket)
    keys, histories = [], []
    for basket in baskets_of(future):
        keys.append((basket.user, basket.seconds))
        histories.append(known.newest(basket.user, length).items)
        known.add(basket)
    return keys, histories


def _run(python: Path, source: Path, expected: int) -> Iterator[str]:
    """The paths that the script prints, ``expected`` of them, as they come."""
    command = [str(python), str(sasrec_rectools.__file__), str(source), str(source.parent)]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=source.parent)
    except OSError as error:
        raise _unusable(python) from error
    with process:
        try:
            assert process.stdout is not None
            for _ in range(expected):
                target = process.stdout.readline().strip()
                if not target:
                    raise _unusable(python)
                yield target
        finally:
            process.kill()


def _unusable(python: Path) -> SettingsError:
    return SettingsError(
        f"{python} could not run SASRec: it must be a Python with rectools[torch] (see the lines above)"
    )
