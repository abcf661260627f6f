"""What goes into a fold and what comes out: events as received, what is known, what was decided. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from encoders.events import EventType, Interaction
from exporters.publisher import Headers
from streams.codec import Rejected
from streams.state import Applied


class Outcome(StrEnum):
    """What became of an event; a metric label. The first three are final: an event has one of them."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    DEAD_LETTERED = "dead_lettered"
    REDELIVERED = "redelivered"
    """Offset at or below the stored one: Kafka sent it again after a fault; it was accounted for before."""
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Received:
    """A message as Kafka gave it: ``topic`` without its prefix, ``timestamp_ms`` of the record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message to be set aside, with the reason."""

    received: Received
    rejected: Rejected


@dataclass(frozen=True, slots=True)
class Visited:
    """An applied event with what its user did just before, oldest first; ``waited`` for its item.

    ``again``: the user had the item before, as far as the history goes; ``nth`` events came before;
    ``against``: it spoke against its item.
    """

    received: Received
    event: Interaction
    before: Sequence[Applied]
    waited: bool
    again: bool = False
    nth: int = 0
    against: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the user tower; ``gap_seconds`` since the latest event, negative for a late one.

    ``event_type`` is one that the tower knows; ``strength`` scales the item's vector, below 0 pushes away.
    """

    item_id: str
    event_type: EventType
    gap_seconds: float
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Behaviours:
    """How strongly an event speaks for its item, besides what the model gives clicks and purchases.

    A rating counts ``(rating - rating_neutral) / rating_span``: 5 of 5 stars is 1 by default, 1 star is -1.
    """

    click: float = 1.0
    purchase: float = 1.0
    cart: float = 1.25
    dislike: float = -1.0
    rating_neutral: float = 3.0
    rating_span: float = 2.0

    def strength(self, event: Interaction) -> float:
        """The factor on the item's vector."""
        if event.event_type is EventType.RATING:
            return ((event.rating or 0.0) - self.rating_neutral) / self.rating_span
        return float(getattr(self, event.event_type.name.lower()))


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much history is kept (``HistorySettings``) and how long an event waits (``InputSettings``)."""

    events: int = 50
    seen_items: int = 100
    bought_items: int = 200
    event_ids: int = 64
    waiting: int = 16
    waiting_bytes: int = 262_144
    wait_ms: int = 30_000


Decode = Callable[[Received], Interaction | Rejected]


@dataclass(frozen=True, slots=True)
class FoldContext:
    """What a fold must know of the world outside the user.

    ``known`` tells whether the catalogue has an item; ``decode`` reads a waiting event again; ``epoch`` tells
    offsets of topics that were made anew from those before.
    """

    known: Callable[[str], bool]
    decode: Decode
    bounds: Bounds
    now_ms: int
    epoch: int = 0
    behaviours: Behaviours = Behaviours()
    window: int = 0
    """Newest earlier events that an applied one is noted with."""


@dataclass(slots=True)
class Folded:
    """What a fold decided: encoder steps, dead letters, an outcome an event, and the applied events."""

    steps: list[Step] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    outcomes: list[tuple[Received, Outcome]] = field(default_factory=list)
    applied: list[Visited] = field(default_factory=list)

    @property
    def cause(self) -> Received:
        """The event that a refreshed user's list follows: the last one that was applied."""
        made = (Outcome.APPLIED, Outcome.REDELIVERED)
        return next(received for received, outcome in reversed(self.outcomes) if outcome in made)

    @property
    def changed(self) -> bool:
        """Whether the user's state differs from the stored one."""
        return any(outcome is not Outcome.REDELIVERED for _, outcome in self.outcomes)

    @property
    def refreshed(self) -> bool:
        """Whether to publish: something was applied, now or before a fault that may have cost the message."""
        return any(outcome in (Outcome.APPLIED, Outcome.REDELIVERED) for _, outcome in self.outcomes)
