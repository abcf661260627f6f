"""What an interaction is, to a model and to a data set: the vocabulary that all layers share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class EventType(IntEnum):
    """What a user did. The values are the indices of a model's embeddings: append, never renumber."""

    CLICK = 0
    PURCHASE = 1
    CART = 2
    DISLIKE = 3
    RATING = 4


def tower_type(event_type: int) -> EventType:
    """What the user tower takes an event for: it tells purchases from everything else.

    How much the others count is said by the length of the item's vector.
    """
    return EventType.PURCHASE if event_type == EventType.PURCHASE else EventType.CLICK


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a catalogue, as a data set or the topic ``items`` describes it.

    ``price`` is in the shop's currency, at least 0. ``categories`` run from the widest to the narrowest.
    ``created_ms`` (milliseconds since 1970-01-01 UTC): since when it is in the catalogue, if that is known.
    """

    item_id: str
    title: str
    description: str = ""
    categories: tuple[str, ...] = ()
    price: float | None = None
    available: bool = True
    brand: str | None = None
    created_ms: int | None = None

    @property
    def text(self) -> str:
        """What the text tower reads: title, categories, description, in that order, one sentence each."""
        parts = (self.title, ", ".join(self.categories), self.description)
        return ". ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Interaction:
    """One thing a user did with an item; ``timestamp_ms`` is milliseconds since 1970-01-01 UTC.

    ``rating`` belongs to ``EventType.RATING``, on the shop's own scale.
    """

    user_id: str
    item_id: str
    event_type: EventType
    timestamp_ms: int
    event_id: str = ""
    session_id: str | None = None
    quantity: int = 1
    price: float | None = None
    rating: float | None = None
