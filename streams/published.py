"""What the published lists hold, counted: why items are on them, and how much of the catalogue they show."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from exporters.metrics import Metrics
from streams.messages import Recommendation

LATEST_LISTS = 1_000
"""Coverage is that of so many lists, so that it compares over time and between workers."""


class PublishedLists:
    """Tells the metrics of each list that was published; ``latest``: lists that coverage is counted over."""

    def __init__(self, metrics: Metrics, latest: int = LATEST_LISTS) -> None:
        self._metrics = metrics
        self._latest: deque[list[str]] = deque()
        self._bound = latest
        self._times: Counter[str] = Counter()

    def note(self, lists: Iterable[Recommendation]) -> None:
        """Count these lists, in the order of their publication."""
        reasons: Counter[tuple[str, str]] = Counter()
        for one in lists:
            self._metrics.recommendations.labels(one.model_version).inc()
            reasons.update((one.scenario, item.reason.kind) for item in one.items)
            self._remember([item.item_id for item in one.items])
        for labels, number in reasons.items():
            self._metrics.listed_items.labels(*labels).inc(number)
        self._metrics.distinct_listed_items.set(len(self._times))

    def _remember(self, item_ids: list[str]) -> None:
        self._latest.append(item_ids)
        self._times.update(item_ids)
        if len(self._latest) > self._bound:
            for gone in self._latest.popleft():
                self._times[gone] -= 1
                if not self._times[gone]:
                    del self._times[gone]
