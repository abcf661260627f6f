"""The pace of a replay: by the data's clock, or by the worker's commits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from encoders.errors import BrokerUnavailable
from encoders.events import EventType, Interaction
from streams import replay
from streams.replay import Pace

START_MS = 1_700_000_000_000


class Clock:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(replay, "time", made)
    return made


def events(*seconds: int) -> Iterator[Interaction]:
    return (Interaction("u", "i", EventType.CLICK, START_MS + 1000 * at) for at in seconds)


@pytest.mark.parametrize("speed", [1.0, 60.0, 86_400.0])
def test_an_event_comes_at_its_time_divided_by_the_speed(clock: Clock, speed: float) -> None:
    came = [clock.now - 100.0 for _ in replay._paced(events(0, 30, 30, 3_600), speed)]
    assert came == pytest.approx([0.0, 30 / speed, 30 / speed, 3_600 / speed])


def test_without_a_speed_nothing_is_waited_for(clock: Clock) -> None:
    assert len(list(replay._paced(events(0, 10**6), None))) == 2
    assert clock.now == 100.0


def test_commits_are_awaited_until_few_enough_are_missing(clock: Clock) -> None:
    lags = iter([900, 400, 90])
    looked: list[int] = []
    replay._await_commits(lambda: next(lags), 100, Pace(), looked.append)
    assert looked == [900, 400, 90]


def test_a_worker_that_commits_nothing_is_given_up(clock: Clock) -> None:
    with pytest.raises(BrokerUnavailable, match=r"is `freshet worker` running"):
        replay._await_commits(lambda: 5, 0, Pace(patience_seconds=10))
    assert clock.now == pytest.approx(110.0, abs=1.0)


def test_a_slow_worker_is_not_given_up_while_it_commits(clock: Clock) -> None:
    lags = iter(range(500, -1, -1))
    replay._await_commits(lambda: next(lags), 0, Pace(patience_seconds=1))
    assert clock.now - 100.0 > 1.0
