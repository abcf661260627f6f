"""Both models live through the same stream as whole systems, and are asked before they learn."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.evaluation.metrics import hit_rate, ndcg
from encoders.evaluation.timeline import Events, Stage
from encoders.events import Item
from encoders.gate.trial import Course, compare, course, live, step_seconds
from encoders.replayed_worker import ReplayedWorker
from tests.fakes.model import TEXT_DIM, FakeModel

N, USERS, E = 30, 8, 300
ITEMS = [Item(f"i{row}", f"item {row}") for row in range(N)]
EVERYTHING = 10_000


def stream() -> Events:
    """Users walk along the items: who was at one turns to the next."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, USERS, E)
    items = np.array([(user * 3 + int((users[:at] == user).sum())) % N for at, user in enumerate(users)])
    return Events(users, items, rng.integers(0, 2, E), np.arange(E) * 600.0 + 1e9)


def stage_of(events: Events, repeats: bool = True) -> Stage:
    arrivals = np.full(N, np.inf)
    np.minimum.at(arrivals, events.items, events.seconds)
    texts = np.random.default_rng(1).normal(size=(N, TEXT_DIM)).astype(np.float32)
    return Stage(N, USERS, float(events.seconds[-1]), arrivals, repeats, texts)


def way(repeats: bool = True, cases: int = EVERYTHING, **parts: tuple[float, float]) -> Course:
    events = stream()
    chosen = parts or {"newest": (float(events.seconds[200]), np.inf)}
    return course(events, stage_of(events, repeats), ITEMS, chosen, cases=cases)


def test_metrics_are_those_of_a_worker_that_is_asked_before_each_basket() -> None:
    chosen, model = way(), FakeModel()
    worker = ReplayedWorker(model, chosen.stage, ITEMS)
    ranks = []
    for at, basket in enumerate(chosen.baskets):
        if at >= 200:
            best = worker.ask(basket.user, basket.seconds).best(model.rank, 10)[0].tolist()
            target = int(basket.items[0])
            ranks.append([best.index(target) + 1 if target in best else 11])
        worker.learn([basket])
    found = live(model, chosen).measured["newest"]
    np.testing.assert_allclose(found.ndcg, ndcg(np.array(ranks), 10))
    np.testing.assert_allclose(found.hit, hit_rate(np.array(ranks), 10))


def test_a_slice_holds_only_its_part_of_the_time() -> None:
    events = stream()
    start, end = float(events.seconds[50]), float(events.seconds[80])
    assert way(older=(start, end)).slices["older"].tolist() == list(range(50, 80))


def test_many_cases_are_thinned_evenly() -> None:
    places = way(cases=11, newest=(-np.inf, np.inf)).slices["newest"]
    assert (len(places), places[0], places[-1]) == (11, 0, E - 1)


def test_a_part_without_events_has_no_slice() -> None:
    assert list(way(newest=(0.0, np.inf), older=(0.0, 1.0)).slices) == ["newest"]


def test_without_repeats_nothing_that_was_had_is_a_target() -> None:
    chosen = way(repeats=False, newest=(0.0, np.inf))
    had: dict[int, set[int]] = {}
    for at, basket in enumerate(chosen.baskets):
        mine = had.setdefault(basket.user, set())
        assert set(chosen.targets[at].tolist()) == set(basket.items.tolist()) - mine
        mine.update(basket.items.tolist())
    assert all(len(chosen.targets[at]) for at in chosen.slices["newest"].tolist())


def test_a_model_is_no_better_than_itself_in_any_case() -> None:
    chosen = way()
    (newest,) = compare(chosen, live(FakeModel(), chosen), live(FakeModel(), chosen))
    np.testing.assert_array_equal(newest.champion.ndcg, newest.challenger.ndcg)
    assert newest.users.tolist() == [basket.user for basket in chosen.baskets[200:]]


class Broken(FakeModel):
    def item_vectors(self, text_vectors: np.ndarray) -> np.ndarray:
        return np.full((len(text_vectors), self.dim), np.nan, np.float32)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_vectors_that_are_no_numbers_are_counted() -> None:
    chosen = way()
    assert live(FakeModel(), chosen).not_finite == 0
    assert live(Broken(), chosen).not_finite >= N * FakeModel().dim


def test_a_step_takes_time_with_either_model() -> None:
    assert min(step_seconds(FakeModel(), FakeModel())) > 0


def test_progress_counts_what_was_asked() -> None:
    told: list[tuple[int, int]] = []
    live(FakeModel(), way(cases=5), progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 5) for done in range(1, 6)]
