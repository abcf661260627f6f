"""From a user's state and the nearest items to the message that is published. Pure.

The result is a function of the user's state and the catalogue alone (horizons are measured from the user's
own latest event, not from the clock): so a recommendation published twice says the same both times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from streams.messages import Recommendation, RecommendedItem, Trigger
from streams.state import History

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Rules:
    """How many items, and what is held back for how long (milliseconds; 0 holds nothing back)."""

    k: int = 20
    hide_seen_ms: int = 30 * DAY_MS
    hide_bought_ms: int = 365 * DAY_MS


class Scored(Protocol):
    """An item with a score, as the store returns it."""

    @property
    def item_id(self) -> str:
        """The item."""
        ...

    @property
    def score(self) -> float:
        """Higher is better."""
        ...


def held_back(history: History, rules: Rules) -> set[str]:
    """Items that the user saw or bought within the rules' horizons, measured from the user's latest event."""
    hidden = _within(history.seen, history.latest_ms, rules.hide_seen_ms)
    return hidden | _within(history.bought, history.latest_ms, rules.hide_bought_ms)


def choose(candidates: Iterable[Scored], hidden: set[str], k: int) -> list[RecommendedItem]:
    """The first ``k`` candidates that are not hidden, in their order."""
    chosen = []
    for candidate in candidates:
        if candidate.item_id not in hidden:
            chosen.append(RecommendedItem(candidate.item_id, round(candidate.score, 6)))
            if len(chosen) == k:
                break
    return chosen


def compose(
    user_id: str, history: History, items: Sequence[RecommendedItem], model_version: str, now_ms: int
) -> Recommendation:
    """The message for a user with at least one applied event."""
    last = history.last
    assert last is not None, "a user is refreshed only after an event"
    return Recommendation(
        user_id=user_id,
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
