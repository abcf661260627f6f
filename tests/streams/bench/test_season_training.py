"""One training of the season bench: its rows, its gate, and what it counts; lists by batches."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.evaluation.progressive import LENGTH
from encoders.evaluation.timeline import Basket
from encoders.features import FEATURES
from encoders.gate.decision import Measured
from encoders.ranker import Ranker, RankerConfig
from encoders.replayed_worker import Asked
from encoders.torch_context import seeded
from encoders.two_stage import COVISITED, INTEREST
from streams.bench.season_cases import Cases, lists_of, measured, rank_of, rows_of
from streams.bench.season_training import fine_tune
from streams.bench.season_triggers import Daily, Request, Shown
from streams.settings_sections import TrainerSettings

CONFIG = RankerConfig(epochs=6, hidden=16, batch_size=32, threads=1)
SETTINGS = TrainerSettings(gate_min_cases=50)
CANDIDATES = 15
DAY = 86_400.0


def asked(rng: np.random.Generator, count: int = CANDIDATES, known: bool = True) -> Asked:
    features = rng.normal(size=(1, count, len(FEATURES))).astype(np.float32)
    return Asked(rng.permutation(100)[:count], features, known)


def cases(number: int, telling: int | None, *, change: float = np.inf, seed: int = 0) -> Cases:
    """One an hour; the target is the candidate with the largest feature ``telling``, and from hour ``change``
    on, or without one, any."""
    rng = np.random.default_rng(seed)
    found = Cases()
    for hour in range(number):
        one = asked(rng)
        told = telling is not None and hour < change
        best = int(one.features[0, :, telling].argmax()) if told else int(rng.integers(CANDIDATES))
        items = one.candidates[best : best + 1]
        found.add(Basket(hour % 40, items, np.zeros(1, np.int64), 3_600.0 * hour), one, 0.01)
    return found


def request(hours: int) -> Request:
    return Request(0.0, 3_600.0 * hours, ["items_psi"])


@pytest.fixture(scope="module")
def champion() -> Ranker:
    with seeded(0):
        return Ranker(hidden=16).eval()


def test_what_is_better_on_the_newest_cases_is_released(champion: Ranker) -> None:
    ranker, training = fine_tune(champion, cases(600, INTEREST), request(600), SETTINGS, CONFIG)
    assert training.released
    assert ranker is not champion
    assert training.low is not None
    assert training.low > 0


def test_what_held_only_before_the_newest_cases_is_rejected(champion: Ranker) -> None:
    stream = cases(600, INTEREST, change=480)
    ranker, training = fine_tune(champion, stream, request(600), SETTINGS, CONFIG)
    assert training.failed == ["better"]
    assert ranker is champion


def test_nothing_better_is_not_asked_about(champion: Ranker) -> None:
    ranker, training = fine_tune(champion, cases(300, None), request(300), SETTINGS, CONFIG)
    assert (ranker, training.failed) == (champion, ["trained"])


def test_an_empty_window_trains_nothing(champion: Ranker) -> None:
    ranker, training = fine_tune(champion, Cases(), request(300), SETTINGS, CONFIG)
    assert (ranker, training.rows, training.failed) == (champion, 0, ["trained"])


def test_the_newest_part_is_not_trained_on(champion: Ranker) -> None:
    _, training = fine_tune(champion, cases(600, INTEREST), request(600), SETTINGS, CONFIG)
    assert training.rows == 480  # all but validation_share


def test_the_time_of_the_questions_counts(champion: Ranker) -> None:
    _, training = fine_tune(champion, cases(300, None), request(300), SETTINGS, CONFIG)
    assert training.cpu_seconds > 300 * 0.01


@pytest.mark.parametrize("known", [True, False])
def test_lists_of_many_are_the_lists_of_each(champion: Ranker, known: bool) -> None:
    rng = np.random.default_rng(3)
    several = [asked(rng, count, known) for count in (5, 40, 15)]
    several[1].features[:, :, COVISITED] = 0.0  # the plain score
    items, scores = lists_of(several, rank_of(champion))
    for row, one in enumerate(several):
        expected, values = one.best(rank_of(champion), LENGTH)
        assert items[row][: len(expected)].tolist() == expected.tolist()
        assert set(items[row][len(expected) :].tolist()) <= {-1}
        np.testing.assert_allclose(scores[row][: len(values)], values, atol=1e-5)


def test_cases_are_measured_as_lists_are() -> None:
    stream = cases(20, INTEREST)
    found: Measured = measured(stream.between(0.0, np.inf), lambda features: features[:, :, INTEREST])
    np.testing.assert_array_equal(found.ndcg, np.ones(20))


def test_a_basket_that_no_candidate_is_in_is_no_row() -> None:
    stream = cases(20, INTEREST)
    stream.add(Basket(0, np.array([500]), np.zeros(1, np.int64), 1e6), asked(np.random.default_rng(0)), 0.0)
    (rows,) = rows_of(stream.between(0.0, np.inf))
    assert len(rows.targets) == 20


def test_days_without_events_have_no_training() -> None:
    daily = Daily(0.0, 30 * DAY)

    def asks(day: float) -> Request | None:
        basket = Basket(0, np.zeros(1, np.int64), np.zeros(1, np.int64), day * DAY)
        return daily.asks(Shown([basket], np.zeros((1, 1), np.int64), np.zeros((1, 1), np.float32), "v", 0.0))

    assert [asks(day) is not None for day in (0.5, 1.0, 1.5, 4.2, 4.5, 5.0)] == [
        False,
        True,
        False,
        True,
        False,
        True,
    ]
