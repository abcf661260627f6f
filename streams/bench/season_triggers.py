"""When an arm of the season bench is trained: every day, or when drift detection asks for it.

Drift detection is the running system's own, the worker's collector and the owner's monitor, without Kafka in
between; times are those of the events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from msgspec.structs import replace

from encoders.config import DAY_SECONDS
from encoders.evaluation.progressive import PADDING
from encoders.evaluation.timeline import Basket, Events, Integers, Timeline, Vectors
from encoders.events import EventType, Interaction
from encoders.features import Floats
from streams.drift.collector import Collector, ItemFacts
from streams.drift.monitor import DriftMonitor
from streams.drift.summary import pack_texts
from streams.drift.text_shift import projected
from streams.fold_types import Received, Visited
from streams.messages import Reason, Recommendation, RecommendedItem, Trigger
from streams.settings_sections import DriftSettings

NO_TRIGGER = Trigger("", "", "")


@dataclass(frozen=True, slots=True)
class Request:
    """A training on the events of a window, in seconds since 1970-01-01 UTC."""

    start: float
    end: float
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Shown:
    """A chunk of baskets, oldest first, and the lists that an arm's users were shown before them."""

    baskets: Sequence[Basket]
    lists: Integers
    """[b, k], -1 padding."""
    scores: Floats
    """[b, k]"""
    version: str
    since: float
    """Seconds since 1970-01-01 UTC: when the version was released."""


class Asking(Protocol):
    """What decides that an arm is trained."""

    decisions: Counter[str]

    def asks(self, shown: Shown) -> Request | None:
        """Take a chunk in; a request where it is time for a training."""


class Never:
    """For a frozen arm."""

    def __init__(self) -> None:
        self.decisions: Counter[str] = Counter()

    def asks(self, shown: Shown) -> Request | None:
        """Nothing."""
        return None


class Daily:
    """Once a day; days without events have no training."""

    def __init__(self, start: float, train_on_seconds: float) -> None:
        self.decisions: Counter[str] = Counter()
        self._next = start + DAY_SECONDS
        self._train_on = train_on_seconds

    def asks(self, shown: Shown) -> Request | None:
        """At the first basket of a day."""
        now = shown.baskets[-1].seconds
        if now < self._next:
            return None
        self._next += DAY_SECONDS * (1 + (now - self._next) // DAY_SECONDS)
        return Request(now - self._train_on, now, ["daily"])


class Drifting:
    """When the detectors ask for it, by the settings of the section ``drift``."""

    def __init__(
        self, settings: DriftSettings, timeline: Timeline, past: Events, texts: Vectors, seed: int = 0
    ) -> None:
        """``past``: what was before the season; ``texts`` [n, t] of the timeline's items."""
        self.decisions: Counter[str] = Counter()
        self._settings, self._timeline = settings, timeline
        self._texts = projected(texts)
        self._row_of = {item.item_id: row for row, item in enumerate(timeline.items)}
        self._collector = Collector(settings, len(timeline.user_ids), repeats=timeline.repeats, seed=seed)
        self._monitor = DriftMonitor(settings)
        self._of_item = np.bincount(past.items, minlength=len(timeline.items))
        self._of_user = np.bincount(past.users, minlength=len(timeline.user_ids))
        self._version, self._offset = "", 0

    def asks(self, shown: Shown) -> Request | None:
        """Note the lists, then what the users did; judge what is a window by then."""
        if shown.version != self._version:
            self._version = shown.version
            self._collector.forget()
        now_ms = round(1000 * shown.baskets[-1].seconds)
        facts = self._facts
        self._collector.note([], [self._list(shown, row) for row in range(len(shown.baskets))], facts, now_ms)
        self._collector.note(
            [one for basket in shown.baskets for one in self._visits(basket)], [], facts, now_ms
        )
        return self._judge(shown) if self._collector.is_due(now_ms) else None

    def _judge(self, shown: Shown) -> Request | None:
        summary, sample = self._collector.take("season", shown.version, round(1000 * shown.since))
        texts = self._texts[[self._row_of[item] for item in sample]]
        self._offset += 1
        found = self._monitor.take(replace(summary, text_sample=pack_texts(texts)), offset=self._offset)
        if found is None:
            return None
        self.decisions[found.decision] += 1
        if found.request is None:
            return None
        request = found.request
        reasons = [one.detector or one.kind for one in request.reasons]
        # The window ends with the newest event, which is learned by now.
        return Request(request.window_from_ms / 1e3, (request.window_until_ms + 1) / 1e3, reasons)

    def _facts(self, item_id: str) -> ItemFacts:
        row = self._row_of[item_id]
        categories = self._timeline.items[row].categories
        cold = bool(self._of_item[row] < self._settings.cold_events)
        return ItemFacts(categories[-1] if categories else None, cold)

    def _visits(self, basket: Basket) -> list[Visited]:
        user_id = self._timeline.user_ids[basket.user]
        at_ms = round(1000 * basket.seconds)
        found = []
        for item, kind in zip(basket.items.tolist(), basket.event_types.tolist(), strict=True):
            event = Interaction(user_id, self._timeline.items[item].item_id, EventType(kind), at_ms)
            received = Received("purchases", 0, 0, None, None, at_ms)
            found.append(Visited(received, event, (), False, nth=int(self._of_user[basket.user])))
            self._of_user[basket.user] += 1
            self._of_item[item] += 1
        return found

    def _list(self, shown: Shown, row: int) -> Recommendation:
        items = [
            RecommendedItem(self._timeline.items[item].item_id, score, Reason("taste"))
            for item, score in zip(shown.lists[row].tolist(), shown.scores[row].tolist(), strict=True)
            if item != PADDING
        ]
        at_ms = round(1000 * shown.baskets[row].seconds)
        return Recommendation(
            user_id=self._timeline.user_ids[shown.baskets[row].user],
            scenario=self._settings.scenario,
            items=items,
            model_version=shown.version,
            trigger=NO_TRIGGER,
            event_time=at_ms,
            generated_at=at_ms,
        )
