"""A worker offline knows what the stream has said so far: evidence, interests, candidates, no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from encoders.candidates import CandidateCounts
from encoders.covisitation import CovisitationConfig, Visit, pairs_of
from encoders.errors import DataError
from encoders.evaluation.progressive import replay
from encoders.evaluation.progressive_two_stage import Ordering, ProgressiveTwoStage
from encoders.evaluation.timeline import Events, Stage, baskets_of
from encoders.events import EventType, Item
from encoders.evidence import Entries, Evidence
from encoders.factors import fit_factors
from encoders.features import FEATURES
from encoders.progressive_rows import progressive_rows
from encoders.replayed_worker import Asked, ReplayConfig, ReplayedWorker
from encoders.runtime import ServingModel

N, USERS, E = 40, 6, 120
CONFIG = CovisitationConfig(window=4)
ITEMS = [Item(f"i{row}", f"item {row}", categories=(f"c{row % 3}",), price=1.0 + row) for row in range(N)]


def stream() -> Events:
    rng = np.random.default_rng(0)
    seconds = np.sort(rng.integers(0, 40, E)) * 3_600.0 + 1e9  # many equal times: baskets
    return Events(rng.integers(0, USERS, E), rng.integers(0, N, E), rng.integers(0, 2, E), seconds)


def stage_of(model: ServingModel, events: Events, repeats: bool = True) -> Stage:
    arrivals = np.full(N, np.inf)
    np.minimum.at(arrivals, events.items, events.seconds)
    texts = np.random.default_rng(1).normal(size=(N, model.text_dim)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    return Stage(N, USERS, float(events.seconds[-1]), arrivals, repeats, texts)


def learned(model: ServingModel, events: Events, at_once: int, **more: bool) -> ReplayedWorker:
    worker = ReplayedWorker(model, stage_of(model, events, **more), ITEMS, ReplayConfig(CONFIG))
    baskets = baskets_of(events)
    for start in range(0, len(baskets), at_once):
        worker.learn(baskets[start : start + at_once])
    return worker


@pytest.mark.parametrize("at_once", [1, 7, 1_000])
def test_evidence_is_what_the_pairs_of_single_events_come_to(serving_model: ServingModel, at_once: int):
    events = stream()
    expected = Evidence(CONFIG.neighbours)
    expected.grow(N)
    pasts: dict[int, list[Visit[int]]] = {}
    for basket in baskets_of(events):
        for item, kind in zip(basket.items.tolist(), basket.event_types.tolist(), strict=True):
            visit = Visit(item, kind, basket.seconds)
            pairs = pairs_of(pasts.setdefault(basket.user, []), visit, CONFIG)
            back = [weight for _, _, weight in pairs]
            back[::2], back[1::2] = back[1::2], back[::2]
            rows, neighbours, weights = (np.array([pair[k] for pair in pairs]) for k in range(3))
            if pairs:
                seconds = np.full(len(pairs), basket.seconds)
                expected.add(Entries(rows, neighbours, weights, np.array(back), seconds))
            pasts[basket.user].append(visit)
    found = learned(serving_model, events, at_once)._evidence
    now = float(events.seconds[-1])
    for row in range(N):
        want, have = expected.row(row), found.row(row)
        scale = 2.0 ** ((expected.landmark - found.landmark) / CONFIG.age_half_life_seconds)
        assert dict(zip(have.neighbours.tolist(), have.weights.tolist())) == pytest.approx(
            dict(zip(want.neighbours.tolist(), (want.weights * scale).tolist())), rel=1e-3
        )
    strengths = np.array([CONFIG.strength(kind) for kind in events.event_types])
    ages = (events.seconds - now) / expected.half_lives.popularity
    popularity = np.bincount(events.items, strengths * 2.0**ages, minlength=N)
    np.testing.assert_allclose(found.popularity(now), popularity, rtol=1e-3)


def test_interests_are_those_of_the_models_graph_for_whole_histories(serving_model: ServingModel):
    events = stream()
    worker = learned(serving_model, events, 5)
    own = events.users == 2
    order = np.argsort(events.seconds[own], kind="stable")
    items, times = events.items[own][order], events.seconds[own][order]
    gaps = np.diff(times, prepend=times[0]).astype(np.float32)
    types, lengths = events.event_types[own][order], np.array([len(items)])
    vectors = worker.vectors[items]
    expected = serving_model.prefill(vectors[None], types[None], gaps[None], lengths)[1]
    np.testing.assert_allclose(worker._interests[2], expected[0], atol=1e-5)


def test_a_rating_steps_the_tower_as_a_click_does_and_a_cart_more_strongly(serving_model: ServingModel):
    events = stream()[:1]
    clicked, rated, carted = (
        learned(serving_model, replace(events, event_types=np.array([int(kind)])), 7)
        for kind in (EventType.CLICK, EventType.RATING, EventType.CART)
    )
    np.testing.assert_array_equal(rated._interests, clicked._interests)
    stronger = serving_model.step(
        serving_model.initial_state(1),
        carted.vectors[events.items] * np.float32(1.25),
        np.array([EventType.CLICK]),
        np.zeros(1, np.float32),
    )
    np.testing.assert_allclose(carted._states[events.users], stronger[0], atol=1e-6)


def test_only_what_has_arrived_is_a_candidate(serving_model: ServingModel):
    events = stream()
    early = float(events.seconds[E // 3])
    worker = learned(serving_model, events[: E // 3], 7)
    worker._stage = stage_of(serving_model, events)
    candidates = worker.ask(1, early).candidates
    assert len(candidates)
    assert (worker._stage.arrivals[candidates] <= early).all()


def test_what_a_user_had_is_a_candidate_only_where_a_data_set_repeats(serving_model: ServingModel):
    events = stream()
    had, now = np.unique(events.items[events.users == 3]), float(events.seconds[-1])
    again = learned(serving_model, events, 7).ask(3, now)
    assert set(had.tolist()) <= set(again.candidates.tolist())
    counts = np.bincount(events.items[events.users == 3], minlength=N)[again.candidates]
    found = again.features[0, :, FEATURES.index("had")]
    np.testing.assert_allclose(found, np.log1p(counts), rtol=1e-5)
    once = learned(serving_model, events, 7, repeats=False).ask(3, now)
    assert not np.isin(once.candidates, had).any()


def test_what_a_worker_learns_its_twin_does_not(serving_model: ServingModel):
    events = stream()
    now, half = float(events.seconds[-1]), events[: E // 2]
    worker = learned(serving_model, half, 7)
    twin, before = worker.twin(), worker.ask(2, now)
    worker.learn(baskets_of(events[E // 2 :]))
    np.testing.assert_array_equal(twin.ask(2, now).features, before.features)
    assert not np.array_equal(worker.ask(2, now).features, before.features)


def test_a_user_without_events_is_offered_what_is_trending_and_new(serving_model: ServingModel):
    events = stream()
    config = ReplayConfig(counts=CandidateCounts(trending=3, new=2))
    worker = ReplayedWorker(serving_model, stage_of(serving_model, events), ITEMS, config)
    worker.learn(baskets_of(events))
    stranger = worker.ask(USERS - 1, float(events.seconds[-1]))
    assert len(stranger.candidates) >= 3
    worker._histories, worker._interests = type(worker._histories)(), worker._interests * 0
    assert 3 <= len(worker.ask(0, float(events.seconds[-1])).candidates) <= 5


def test_rows_ask_before_they_learn(serving_model: ServingModel):
    events = stream()
    fresh = replace(events, users=np.arange(E) % USERS, items=np.arange(E) % N)  # nobody has an item twice
    rows = progressive_rows(serving_model, fresh, stage_of(serving_model, fresh, repeats=False), ITEMS)
    assert rows.targets.any(axis=1).all()
    assert (rows.real | ~rows.targets).all()
    assert not rows.features[rows.targets][:, FEATURES.index("seen")].any()


def test_rows_ask_with_factors_of_what_lies_before_and_bring_those_of_the_whole_past(
    serving_model: ServingModel, monkeypatch: pytest.MonkeyPatch
):
    events = stream()
    fitted: list[int] = []
    ask = ReplayedWorker.ask

    def fit(users: np.ndarray, items: np.ndarray, n: int) -> np.ndarray:
        fitted.append(len(users))
        return fit_factors(users, items, n)

    def asked(worker: ReplayedWorker, user: int, seconds: float) -> Asked:
        assert events.seconds[fitted[-1] - 1] < seconds
        return ask(worker, user, seconds)

    monkeypatch.setattr("encoders.progressive_rows.fit_factors", fit)
    monkeypatch.setattr(ReplayedWorker, "ask", asked)
    rows = progressive_rows(serving_model, events, stage_of(serving_model, events), ITEMS)
    assert len(fitted) > 3
    assert rows.features[:, :, FEATURES.index("factored_relative")].any()
    whole = fit_factors(events.users, events.items, N)
    np.testing.assert_array_equal(rows.factors.rows([item.item_id for item in ITEMS]), whole)


def test_a_stream_without_anything_to_ask_is_refused(serving_model: ServingModel):
    events = stream()[:1]
    config = ReplayConfig(counts=CandidateCounts(0, 0, 0, 0, 0))
    with pytest.raises(DataError, match="nothing to learn"):
        progressive_rows(serving_model, events, stage_of(serving_model, events), ITEMS, config)


def test_the_method_lists_what_the_worker_ranks(serving_model: ServingModel):
    events = stream()
    past, future = events.split(0.6)
    stage = replace(stage_of(serving_model, events), split_seconds=float(future.seconds[0]))
    method = ProgressiveTwoStage(serving_model, ITEMS)
    method.fit(past, stage)
    found = replay(method, past, future, stage)
    assert (found.lists[:, 0] >= 0).all()
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in found.lists)


def test_strangers_are_listed_what_trends(serving_model: ServingModel):
    events = stream()[:30]
    worker = ReplayedWorker(serving_model, stage_of(serving_model, events), ITEMS)
    worker.learn([basket for basket in baskets_of(events) if basket.user != 5])
    now = float(events.seconds[-1])
    found, _ = worker.ask(5, now).best(lambda features: features[:, :, 0], 3)
    recent = worker._evidence.recent(now)
    assert recent[found].tolist() == sorted(recent.tolist(), reverse=True)[:3]


def test_orderings_share_one_replay(serving_model: ServingModel):
    events = stream()
    past, future = events.split(0.6)
    stage = replace(stage_of(serving_model, events), split_seconds=float(future.seconds[0]))
    by_price = Ordering(lambda features: -features[:, :, FEATURES.index("price")])
    both = {"two-stage": Ordering(serving_model.rank), "price": by_price}
    method = ProgressiveTwoStage(serving_model, ITEMS, orderings=both)
    method.fit(past, stage)
    found = method.replays(replay(method, past, future, stage))
    for name, ordering in both.items():
        alone = ProgressiveTwoStage(serving_model, ITEMS, orderings={name: ordering})
        alone.fit(past, stage)
        np.testing.assert_array_equal(found[name].lists, replay(alone, past, future, stage).lists)
    assert (found["price"].lists != found["two-stage"].lists).any()
