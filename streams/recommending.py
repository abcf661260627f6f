"""What is held back from a user, and the message that is published. Pure.

Horizons are measured from the user's own latest event, not from the clock: a replay holds back the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.list_maker import Query
from streams.messages import Recommendation, RecommendedItem, Trigger
from streams.scenarios import Scenario
from streams.state import History, UserState


def held_back(history: History, scenario: Scenario) -> set[str]:
    """Items that the user saw or bought within the scenario's horizons before their latest event.

    And those whose last event in the history speaks against them, whatever the scenario.
    """
    hidden = _within(history.seen, history.latest_ms, scenario.hide_seen_ms)
    against = {one.item_id: one.against for one in history.events}
    hidden.update(item_id for item_id, spoken in against.items() if spoken)
    return hidden | _within(history.bought, history.latest_ms, scenario.hide_bought_ms)


def query_of(user: UserState, scenario: Scenario) -> Query:
    """What to ask for a user with at least one applied event."""
    history = user.history
    return Query(
        interest=user.interest,
        events=history.events,
        hidden=held_back(history, scenario),
        at_ms=history.latest_ms,
        seed=f"{user.user_id} {history.applied}",
        applied=history.applied,
    )


def compose(
    user: UserState, scenario: Scenario, items: Sequence[RecommendedItem], model_version: str, now_ms: int
) -> Recommendation:
    """The message for a user with at least one applied event."""
    last = user.history.last
    assert last is not None, "a user is refreshed only after an event"
    return Recommendation(
        user_id=user.user_id,
        scenario=scenario.name,
        items=list(items),
        model_version=model_version,
        trigger=Trigger(last.topic, last.event_id, last.item_id),
        event_time=last.timestamp_ms,
        generated_at=now_ms,
    )


def _within(times: dict[str, int], latest_ms: int, horizon_ms: int) -> set[str]:
    if horizon_ms <= 0:
        return set()
    return {item_id for item_id, at_ms in times.items() if latest_ms - at_ms <= horizon_ms}
