"""A made-up shop for drift: users, items by popularity, texts by category, lists right at times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace as with_fields

from encoders.events import EventType, Interaction
from streams.drift.collector import Collector, ItemFacts
from streams.drift.monitor import DriftMonitor, Judgement
from streams.drift.summary import pack_texts
from streams.drift.text_shift import projected
from streams.fold_types import Received, Visited
from streams.messages import Reason, Recommendation, RecommendedItem, Trigger
from streams.settings_sections import DriftSettings

START_MS = 1_700_000_000_000
TEXT_DIM = 64
BATCH = 250


@dataclass(frozen=True)
class Behaviour:
    """How events are drawn: shares of categories, an order of popularity, first item, chance of a hit."""

    categories: npt.NDArray[np.float64]
    popularity_seed: int = 0
    first_item: int = 0
    accuracy: float = 0.1
    cold: bool = False


class Source(Protocol):
    """Where events and texts come from."""

    seed: int
    users: int
    rng: np.random.Generator

    def draw(self, behaviour: Behaviour, n: int) -> list[tuple[str, str, bool]]:
        """(user, item, cold) of n events; a category comes before an item's first hyphen."""

    def text(self, item_id: str) -> npt.NDArray[np.float32]:
        """The item's text vector [t]."""


@dataclass
class Shop:
    """``items`` items a catalogue in ``len(categories)`` categories, Zipf within each; seeded."""

    seed: int
    users: int = 3_000
    per_category: int = 100
    behaviour: Behaviour = field(
        default_factory=lambda: Behaviour(np.array([0.25, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.04]))
    )

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        rng = np.random.default_rng([self.seed, 1])
        centres = rng.standard_normal((len(self.behaviour.categories), TEXT_DIM))
        self._texts = {
            self.item_id(category, rank): _unit(centres[category] + 1.5 * rng.standard_normal(TEXT_DIM))
            for category in range(len(centres))
            for rank in range(3 * self.per_category)
        }

    @staticmethod
    def item_id(category: int, number: int) -> str:
        return f"c{category}-{number}"

    def text(self, item_id: str) -> npt.NDArray[np.float32]:
        return self._texts[item_id]

    def draw(self, behaviour: Behaviour, n: int) -> list[tuple[str, str, bool]]:
        """(user, item, cold) of n events."""
        shares = 1.0 / np.arange(1, self.per_category + 1)
        order = np.random.default_rng(behaviour.popularity_seed).permutation(self.per_category)
        categories = self.rng.choice(len(behaviour.categories), n, p=behaviour.categories)
        ranks = order[self.rng.choice(self.per_category, n, p=shares / shares.sum())] + behaviour.first_item
        users = self.rng.integers(0, self.users, n)
        return [
            (f"u{user}", self.item_id(category, rank), behaviour.cold)
            for user, category, rank in zip(users.tolist(), categories.tolist(), ranks.tolist(), strict=True)
        ]


def judged(
    shop: Source,
    phases: list[tuple[Behaviour, int]],
    settings: DriftSettings,
    monitor: DriftMonitor | None = None,
) -> Iterator[tuple[int, Judgement]]:
    """The judgements of a stream of phases (behaviour, events), with the events seen so far."""
    monitor = monitor or DriftMonitor(settings)
    collector = Collector(settings, shop.users, repeats=True, seed=shop.seed)
    events = [(event, phase) for phase, n in phases for event in shop.draw(phase, n)]
    upcoming = _next_items([event for event, _ in events])
    counts: dict[str, int] = {}
    for start in range(0, len(events), BATCH):
        batch = range(start, min(start + BATCH, len(events)))
        applied, lists, cold = [], [], {}
        for at in batch:
            (user, item, is_cold), phase = events[at]
            cold[item] = is_cold
            applied.append(visited(at, user, item, counts.get(user, 0)))
            counts[user] = counts.get(user, 0) + 1
            lists.append(listed(shop, user, upcoming[at], phase.accuracy, settings.k))
        facts = {item: ItemFacts(item.partition("-")[0], is_cold) for item, is_cold in cold.items()}
        collector.note(applied, lists, facts.__getitem__, START_MS + batch[-1])
        if collector.is_due(START_MS + batch[-1]):
            summary, sample = collector.take("shop", "v1", START_MS)
            texts = projected(np.stack([shop.text(one) for one in sample]))
            judgement = monitor.take(with_fields(summary, text_sample=pack_texts(texts)), offset=start)
            if judgement is not None:
                yield batch[-1] + 1, judgement


def changed(behaviour: Behaviour, **fields: object) -> Behaviour:
    """The behaviour with other fields."""
    return replace(behaviour, **fields)  # type: ignore[arg-type]


def visited(at: int, user: str, item: str, nth: int) -> Visited:
    """The ``at``-th event of the stream, the ``nth`` of its user."""
    event = Interaction(user, item, EventType.CLICK, START_MS + at, event_id=str(at))
    return Visited(Received("clicks", 0, at, user.encode(), b"", START_MS + at), event, (), False, False, nth)


def _next_items(events: list[tuple[str, str, bool]]) -> list[str]:
    """For each event the item of the same user's next one."""
    following: dict[str, str] = {}
    found = []
    for user, item, _ in reversed(events):
        found.append(following.get(user, ""))
        following[user] = item
    return found[::-1]


OTHERS = [RecommendedItem(f"other-{n}", 0.5, Reason("taste")) for n in range(200)]


def listed(shop: Source, user: str, wanted: str, accuracy: float, k: int) -> Recommendation:
    """A list that has the item that comes next with the given chance, at any place."""
    items, (chance, place, score) = OTHERS[:k], shop.rng.random(3).tolist()
    items[0] = RecommendedItem("first", score, Reason("taste"))
    if chance < accuracy:
        items[int(k * place)] = RecommendedItem(wanted, score, Reason("taste"))
    return Recommendation(
        user_id=user,
        scenario="home",
        items=items,
        model_version="v1",
        trigger=Trigger("clicks", "", ""),
        event_time=0,
        generated_at=0,
    )


def _unit(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return (vector / np.linalg.norm(vector)).astype(np.float32)
