"""What a worker notes of its events until the next summary. Pure; a few microseconds an event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from streams.drift.last_lists import LastLists
from streams.drift.population import BUCKETS, bucket
from streams.drift.summary import (
    MAX_RANKS,
    MAX_SAMPLE,
    MAX_VERSIONS,
    DriftSummary,
    pack_counts,
    pack_scores,
)
from streams.fold_types import Visited
from streams.messages import Recommendation
from streams.settings_sections import DriftSettings

COLD_USER_EVENTS = 5
"""A user with fewer events before is cold."""


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What the catalogue knows of an event's item."""

    category: str | None
    """The narrowest."""
    cold: bool
    """Few events of it were counted before."""


@dataclass(slots=True)
class _Draft:
    """Events since the last summary."""

    began_ms: int = 0
    from_ms: int = 0
    until_ms: int = 0
    events: int = 0
    categories: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    items: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    cold_items: bytearray = field(default_factory=bytearray)
    cold_users: bytearray = field(default_factory=bytearray)
    ranks: dict[str, bytearray] = field(default_factory=dict)
    sample: dict[str, str] = field(default_factory=dict)
    """User -> an item of theirs: one event a user, since events of one user are no independent sample."""
    scores: list[float] = field(default_factory=list)


Scored = list[tuple[str, int]]


class Collector:
    """Notes applied events and published lists; ``take`` what was noted as a summary."""

    def __init__(
        self, settings: DriftSettings, users: int, *, repeats: bool, seed: int | None = None
    ) -> None:
        """Last lists of ``users`` are kept; without ``repeats`` an item that the user had is not scored."""
        self._settings = settings
        self._repeats = repeats
        self._lists = LastLists(users, settings.k)
        self._rate = min(1.0, settings.sample / settings.window_events)
        self._random = np.random.default_rng(seed)
        self._draft = _Draft()

    def note(
        self,
        applied: Sequence[Visited],
        published: Sequence[Recommendation],
        facts: Callable[[str], ItemFacts],
        now_ms: int,
    ) -> Scored:
        """Compare events with the lists before them, then keep the new lists; the ranks that were found."""
        if self._draft.events > MAX_RANKS:  # nobody asks for summaries
            self.forget()
        draft = self._draft
        chosen = self._random.random(len(applied)) < self._rate
        scored: Scored = []
        for one, sampled in zip(applied, chosen.tolist(), strict=True):
            if one.against:
                continue
            self._count(draft, one, facts(one.event.item_id), now_ms)
            if sampled and len(draft.sample) < MAX_SAMPLE:
                draft.sample[one.event.user_id] = one.event.item_id
            if self._repeats or not one.again:
                scored += self._lists.ranks(one.event.user_id, one.event.item_id)
        for version, rank in scored:
            draft.ranks.setdefault(version, bytearray()).append(rank)
        lists = [one for one in published if one.scenario == self._settings.scenario]
        self._lists.remember(lists)
        looked = self._random.random(len(lists)) < self._rate
        scores = [one.items[0].score for one, kept in zip(lists, looked, strict=True) if kept and one.items]
        draft.scores += scores[: MAX_SAMPLE - len(draft.scores)]
        return scored

    def is_due(self, now_ms: int) -> bool:
        """Whether enough was noted, or long enough ago, for a summary."""
        draft, settings = self._draft, self._settings
        waited_ms = now_ms - draft.began_ms
        due = draft.events >= settings.window_events or waited_ms >= 1000 * settings.report_seconds
        return draft.events > 0 and due

    def take(self, model: str, version: str, since_ms: int) -> tuple[DriftSummary, list[str]]:
        """What was noted, and the sampled items whose texts it lacks; begins anew."""
        draft, self._draft = self._draft, _Draft()
        newest = list(draft.ranks)[-MAX_VERSIONS:]
        summary = DriftSummary(
            model=model,
            version=version,
            serving_since_ms=since_ms,
            from_ms=draft.from_ms,
            until_ms=draft.until_ms,
            events=draft.events,
            category_counts=pack_counts(draft.categories),
            item_counts=pack_counts(draft.items),
            cold_item_flags=bytes(draft.cold_items),
            cold_user_flags=bytes(draft.cold_users),
            ranks={one: bytes(draft.ranks[one]) for one in newest},
            score_sample=pack_scores(draft.scores),
        )
        return summary, list(draft.sample.values())

    def forget(self) -> None:
        """Begin anew; the last lists stay."""
        self._draft = _Draft()

    def _count(self, draft: _Draft, one: Visited, facts: ItemFacts, now_ms: int) -> None:
        at_ms = one.received.timestamp_ms
        if not draft.events:
            draft.began_ms, draft.from_ms = now_ms, at_ms
        draft.from_ms, draft.until_ms = min(draft.from_ms, at_ms), max(draft.until_ms, at_ms)
        draft.events += 1
        if facts.category is not None:
            draft.categories[bucket(facts.category)] += 1
        draft.items[bucket(one.event.item_id)] += 1
        draft.cold_items.append(facts.cold)
        draft.cold_users.append(one.nth < COLD_USER_EVENTS)
