"""What the demo knows of its own run: counts, freshness, recall, the shopper on show. No Kafka in here.

Freshness is measured by the demo itself, end to end: from handing an event to the producer until a
recommendation that takes it into account has been received. One recommendation may answer several events of
its user; each of them counts with its own wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from encoders.events import Interaction, Item
from streams.demo.feed import Kind, Message
from streams.demo.report import DemoReport
from streams.demo.scoring import ProgressiveRecall, percentile_ms
from streams.demo.screen_state import HistoryLine, ScreenState, Suggestion
from streams.messages import Recommendation, TrainingRequest

SHOWN_HISTORY = 20
RECENT_FRESHNESS = 2_000
"""The screen's percentiles look at this many of the last events; the report's at all of them."""
RATE_SECONDS = 5.0
QUIET_SECONDS = 5.0
"""A shopper without an event for this long is replaced on the screen by the next one."""
CURVE_SECONDS = 0.5


class Tracker:
    """Watches a run. Times are seconds on any one clock that never goes back."""

    def __init__(self, items: Sequence[Item], state: ScreenState, shift_after: int | None = None) -> None:
        """``shift_after``: events of the shop (``Shop``) before its season turns."""
        self.state = state
        self._shift_after = shift_after
        self._events = 0
        self.recall = ProgressiveRecall(k=10)
        self._items = {item.item_id: item for item in items}
        self._waiting: dict[str, deque[tuple[str, float]]] = {}
        self._histories: dict[str, deque[HistoryLine]] = {}
        self._shown: dict[str, Recommendation] = {}
        self._freshness: list[float] = []
        self._rate: deque[tuple[float, int]] = deque()
        self._quiet_since = 0.0
        self._curve_at = 0.0
        state.items = len(items)

    def sent(self, message: Message, now: float) -> None:
        """Note a message that is being sent; one that is no new event of the shop is only counted."""
        self.state.events_sent += 1
        if message.kind is not Kind.EVENT:
            return
        if self._events == self._shift_after:
            self._turn_season()
        self._events += 1
        event = message.event
        self._remember(event)
        self.recall.observe(event)
        self._waiting.setdefault(event.user_id, deque()).append((event.event_id, now))
        self.state.users = len(self._waiting)
        if event.user_id == self.state.shopper:
            self._quiet_since = now

    def received(self, recommendation: Recommendation, now: float) -> None:
        """Note a recommendation that has arrived."""
        user_id = recommendation.user_id
        self.state.recommendations += 1
        self.recall.published(user_id, [item.item_id for item in recommendation.items])
        self._answer(user_id, recommendation.trigger.event_id, now)
        if user_id == self.state.shopper or now - self._quiet_since > QUIET_SECONDS:
            self._show(recommendation, now)
        self._shown[user_id] = recommendation

    def asked(self, request: TrainingRequest) -> None:
        """Note a training request that was published."""
        before = self.state.life.request
        self.state.life.asked(request, self.state.events_sent)
        if self.state.life.request is not before:
            self.mark("drift")

    def served(self, version: str | None) -> None:
        """Note the version that the worker serves, where it says one."""
        if version is not None and self.state.life.served(version):
            self.mark("new")

    def mark(self, name: str) -> None:
        """Put a mark on the curve, where it is now."""
        self.state.marks.append((len(self.state.curve), name))

    def accounted(self, outcomes: Mapping[str, int]) -> None:
        """Take the worker's own counts of what became of the events, by outcome."""
        self.state.events_applied = outcomes.get("applied", 0)
        self.state.duplicates = outcomes.get("duplicate", 0)
        self.state.dead_letters = outcomes.get("dead_lettered", 0)

    @property
    def everything_accounted(self) -> bool:
        """Whether the worker has said of every event what became of it."""
        state = self.state
        return state.events_applied + state.duplicates + state.dead_letters >= state.events_sent

    def tick(self, now: float, elapsed_seconds: float) -> None:
        """Bring rates, percentiles and the curve up to date."""
        state = self.state
        state.elapsed_seconds = elapsed_seconds
        self._rate.append((now, state.events_sent))
        while now - self._rate[0][0] > RATE_SECONDS:
            self._rate.popleft()
        since, count = self._rate[0]
        state.events_per_second = (state.events_sent - count) / (now - since) if now > since else 0.0
        state.recall, state.popularity_recall = self.recall.recall, self.recall.popularity_recall
        state.scored = self.recall.scored
        if now - self._curve_at >= CURVE_SECONDS:
            self._curve_at = now
            self._add_to_curve()

    def report(self, model_version: str, seconds: float) -> DemoReport:
        """The figures of the whole run so far."""
        state, life = self.state, self.state.life
        self._look_at_recall()
        recent = self.recall.recent()
        return DemoReport(
            events_sent=state.events_sent,
            events_applied=state.events_applied,
            duplicates=state.duplicates,
            dead_letters=state.dead_letters,
            users=state.users,
            items=state.items,
            recommendations_published=state.recommendations,
            freshness_p50_ms=percentile_ms(self._freshness, 50),
            freshness_p99_ms=percentile_ms(self._freshness, 99),
            recall_at_10=_rounded(self.recall.recall),
            recall_at_10_popularity=_rounded(self.recall.popularity_recall),
            model_version=model_version,
            seconds=round(seconds, 1),
            drift_detected_after_events=life.detected_after,
            training_seconds=round(life.outcome.seconds, 1) if life.outcome else None,
            released_version=life.released_version,
            recall_before=_rounded(state.recall_before),
            recall_at_worst=_rounded(state.recall_at_worst),
            recall_after=_rounded(recent[0]) if recent and life.shifted_after is not None else None,
        )

    def _turn_season(self) -> None:
        recent = self.recall.recent()
        self.state.recall_before = recent[0] if recent else None
        self.state.life.shifted(self.state.events_sent - 1)
        self.mark("shift")

    def _look_at_recall(self) -> None:
        """Keep the lowest window between the turn of the season and the swap."""
        state, recent = self.state, self.recall.recent()
        if recent and state.life.shifted_after is not None and state.life.released_version is None:
            worst = state.recall_at_worst
            state.recall_at_worst = recent[0] if worst is None else min(recent[0], worst)

    def _add_to_curve(self) -> None:
        last = self._freshness[-RECENT_FRESHNESS:]
        self.state.freshness_p50_ms = percentile_ms(last, 50)
        self.state.freshness_p99_ms = percentile_ms(last, 99)
        self._look_at_recall()
        recent = self.recall.recent()
        if recent is not None:
            self.state.curve.append(recent)

    def _remember(self, event: Interaction) -> None:
        item = self._items[event.item_id]
        before = self._shown.get(event.user_id)
        hit = before is not None and any(one.item_id == event.item_id for one in before.items[:10])
        lines = self._histories.setdefault(event.user_id, deque(maxlen=SHOWN_HISTORY))
        lines.appendleft(HistoryLine(event.event_type, item.title, _shelf(item), hit))
        if event.user_id == self.state.shopper:
            self.state.history = list(lines)

    def _answer(self, user_id: str, event_id: str, now: float) -> None:
        """Close the user's events up to the one that triggered; those sent later still wait."""
        waiting = self._waiting.get(user_id, deque())
        if all(event_id != waiting_id for waiting_id, _ in waiting):
            return
        while waiting:
            answered, sent_at = waiting.popleft()
            self._freshness.append(now - sent_at)
            if answered == event_id:
                return

    def _show(self, recommendation: Recommendation, now: float) -> None:
        state = self.state
        before = self._shown.get(recommendation.user_id)
        state.shopper = recommendation.user_id
        state.history = list(self._histories.get(recommendation.user_id, ()))
        state.suggestions = [
            Suggestion(one.item_id, item.title, _shelf(item), one.score)
            for one in recommendation.items
            if (item := self._items.get(one.item_id)) is not None
        ]
        state.before = [one.item_id for one in before.items] if before is not None else []
        self._quiet_since = now


def _shelf(item: Item) -> str:
    return item.categories[1] if len(item.categories) > 1 else ""


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
