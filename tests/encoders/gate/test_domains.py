"""Other domains are asked about in their own way: along the stream, or by a published split."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from encoders.datasets import Dataset
from encoders.datasets.dataset import LeaveOneOut
from encoders.errors import DataError
from encoders.events import EventType, Interaction, Item
from encoders.gate.domains import domain_slice
from tests.fakes.model import TEXT_DIM, FakeModel

N = 20
ITEMS = [Item(f"i{row}", f"item {row}") for row in range(N)]
VECTORS = np.random.default_rng(0).normal(size=(N, TEXT_DIM)).astype(np.float32)


def timed() -> Dataset:
    events = [
        Interaction(f"u{number % 6}", f"i{(number * 7) % N}", EventType.CLICK, 10**12 + number * 60_000)
        for number in range(100)
    ]
    return Dataset("shop", ITEMS, False, 100, Counter(), Counter(), None, lambda: iter(events))


def ordered() -> Dataset:
    walks = [[(start + step) % N for step in range(6)] for start in range(30)]
    split = LeaveOneOut(
        [walk[:-2] for walk in walks],
        [(walk[:-2], walk[-2]) for walk in walks],
        [(walk[:-1], walk[-1]) for walk in walks],
    )
    return replace(timed(), name="papers", ordered=True, split=split)


def asked(dataset: Dataset, cases: int) -> object:
    return domain_slice(dataset, (FakeModel(), FakeModel()), (VECTORS, VECTORS), cases=cases)


@pytest.mark.parametrize(("dataset", "most"), [(timed(), 20), (ordered(), 30)], ids=["times", "split"])
@pytest.mark.parametrize("cases", [7, 1_000])
def test_as_many_questions_as_there_are_and_no_more_than_asked_for(
    dataset: Dataset, most: int, cases: int
) -> None:
    found = asked(dataset, cases)
    assert found.name == dataset.name  # type: ignore[attr-defined]
    assert len(found.users) == min(most, cases)  # type: ignore[attr-defined]


@pytest.mark.parametrize("dataset", [timed(), ordered()], ids=["times", "split"])
def test_the_same_model_twice_has_the_same_metrics(dataset: Dataset) -> None:
    found = asked(dataset, 10)
    np.testing.assert_array_equal(found.champion.ndcg, found.challenger.ndcg)  # type: ignore[attr-defined]


def test_a_walk_that_everybody_takes_is_found_by_what_users_turned_to_together() -> None:
    found = asked(ordered(), 30)
    assert found.champion.hit.mean() > 0.9  # type: ignore[attr-defined]


def test_an_order_without_a_split_cannot_be_asked_about() -> None:
    with pytest.raises(DataError, match="has an order but no times"):
        asked(replace(timed(), ordered=True), 10)
