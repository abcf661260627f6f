"""The running pipeline and its offline copy give the same lists for the same stream."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.evaluation.progressive import run
from encoders.evaluation.timeline import Events, Timeline, Vectors
from encoders.events import EventType, Item
from encoders.factors import fit_factors, item_factors
from encoders.ranker import Ranker
from exporters.model_manifest import DataWindow
from exporters.model_store import load_model
from exporters.ranker_files import with_ranker
from streams.bench.progressive import RunningPipeline
from streams.cli.evaluate_two_stage import two_stage

USERS, N, E = 30, 120, 900
DAY = 86_400.0
SETTINGS = {
    "EVIDENCE__NEIGHBOURS": "12",
    "RANKING__DENSE_CANDIDATES": "20",
    "RANKING__COVISITED_CANDIDATES": "10",
    "RANKING__TRENDING_CANDIDATES": "5",
    "RANKING__NEW_CANDIDATES": "4",
    "RANKING__AGAIN_CANDIDATES": "6",
    "RANKING__RANKED_FROM_EVENTS": "0",
}


def items() -> list[Item]:
    """Of two categories each, the wide one of four and the narrow one of fifteen."""
    return [
        Item(f"i{row}", f"item {row % 7} {row}", categories=(f"c{row % 4}", f"n{row % 15}"), price=1.0 + row)
        for row in range(N)
    ]


def timeline(*, repeats: bool) -> Timeline:
    """Fifty days in which the catalogue doubles, and every user keeps to a third of it."""
    rng = np.random.default_rng(3)
    users = rng.integers(0, USERS, E)
    there = (N // 2 + N // 2 * np.arange(E) / E).astype(np.int64)
    found = (rng.random(E) ** 1.5 * there).astype(np.int64) // 3 * 3 + users % 3
    seconds = 1.4e9 + 50 * DAY * np.sort(rng.random(E)).round(3)
    types = rng.choice([EventType.CLICK, EventType.CART, EventType.PURCHASE], E).astype(np.int64)
    events = Events(users, np.minimum(found, N - 1), types, seconds)
    return Timeline("planted", events, [f"u{user}" for user in range(USERS)], items(), repeats)


@pytest.fixture(scope="module")
def model(untrained_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a ranker to which every feature says something, the items' factors among them."""
    torch.manual_seed(1)
    past = timeline(repeats=True).events.split(0.8)[0]
    factors = item_factors([item.item_id for item in items()], fit_factors(past.users, past.items, N, 8))
    out = tmp_path_factory.mktemp("reading-everything")
    return with_ranker(untrained_model, Ranker(), out, factors=factors, data=DataWindow(), metrics={})


@pytest.mark.parametrize("repeats", [False, True])
def test_the_running_pipeline_gives_the_lists_of_its_offline_copy(
    model: Path, monkeypatch: pytest.MonkeyPatch, repeats: bool
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"FRESHET_{name}", value)
    stream = timeline(repeats=repeats)
    with closing(RunningPipeline(model, stream)) as pipeline:
        running = run(pipeline, stream, texts(model))[0]
    copied = run(two_stage(model, stream), stream, texts(model))[0]
    assert (running.lists[:, :10] == copied.lists[:, :10]).all(axis=1).mean() >= 0.98


def texts(model: Path) -> Vectors:
    return load_model(model).encode_texts([item.text for item in items()])
