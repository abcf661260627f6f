"""SASRec as a baseline: trained and asked in an environment of its own, replayed like the others."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
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
EPOCHS = (5, 10, 20, 40, 80)
"""Tried, each with all of ``OWN``."""
FACTORS, LENGTH, LISTED = 128, 50, 100


def sasrec(timeline: Timeline, python: Path, seed: int, settings: Settings) -> StreamingMethod:
    """Train on the past and make all lists of the replay, each from what its user did before.

    Raises ``SettingsError`` where ``python`` cannot run RecTools.
    """
    lists = _lists(timeline, python, seed, [int(settings.get("epochs", EPOCHS[2]))])[0]
    return FixedLists(SASREC, lists).adding_own(settings.get("own", 0.0))


def tune_sasrec(timeline: Timeline, python: Path, seed: int) -> Iterator[tuple[Settings, float]]:
    """Settings tried and their NDCG@10 on the last fifth of the past; one training for all of them."""
    inner = validation(timeline)
    for epochs, lists in zip(EPOCHS, _lists(inner, python, seed, EPOCHS)):
        for own in OWN["own"] if timeline.repeats else (0.0,):
            yield {"epochs": epochs, "own": own}, ndcg(FixedLists(SASREC, lists).adding_own(own), inner)


def _lists(
    timeline: Timeline, python: Path, seed: int, epochs: Sequence[int]
) -> list[dict[tuple[int, float], Integers]]:
    """For each number of epochs, the list of every basket by (user, seconds)."""
    past, future = timeline.events.split(QUANTILE)
    keys, histories = _asked(past, future)
    with TemporaryDirectory(prefix="freshet-sasrec-") as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
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
            factors=FACTORS,
            length=LENGTH,
        )
        _run(python, source, target)
        found = np.load(target, allow_pickle=False)["lists"]
    return [dict(zip(keys, lists)) for lists in found]


def _asked(past: Events, future: Events) -> tuple[list[tuple[int, float]], list[Integers]]:
    """Every basket's (user, seconds), and what the user did before it."""
    known = UserHistories()
    for basket in baskets_of(past):
        known.add(basket)
    keys, histories = [], []
    for basket in baskets_of(future):
        keys.append((basket.user, basket.seconds))
        histories.append(known.newest(basket.user, LENGTH).items)
        known.add(basket)
    return keys, histories


def _run(python: Path, source: Path, target: Path) -> None:
    command = [str(python), str(sasrec_rectools.__file__), str(source), str(target)]
    try:
        subprocess.run(command, check=True, cwd=source.parent)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SettingsError(
            f"{python} could not run SASRec: it must be a Python with rectools[torch] (see the lines above)"
        ) from error
