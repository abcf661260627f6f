"""What the simulated shop sends: its events as messages, and among them, on purpose, a few bad ones.

Real producers repeat themselves, cut messages off and name items that nobody knows. The demo does too, so
that its counts of duplicates and dead letters show something; every such message says what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from random import Random

import msgspec

from encoders.events import EventType, Interaction
from streams.messages import ClickMessage, PurchaseMessage

UNKNOWN_ITEM = "item-that-nobody-knows"


class Kind(Enum):
    """What a message is, and so what should become of it."""

    EVENT = "applied"
    REPEATED = "recognised as a duplicate"
    CUT_OFF = "dead-lettered: no JSON"
    UNKNOWN = "dead-lettered: no such item, after a wait"


SHARES = {Kind.REPEATED: 0.002, Kind.CUT_OFF: 0.002, Kind.UNKNOWN: 0.001}
"""How many messages of each kind follow an event, on average."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to send; ``topic`` without prefix. ``event`` is what it says, or would have said."""

    topic: str
    key: bytes
    value: bytes
    event: Interaction
    kind: Kind


def messages(events: Iterator[Interaction], seed: int) -> Iterator[Message]:
    """Every event as a message, in order, with bad messages in between by the ``SHARES``; seeded."""
    random = Random(f"feed-{seed}")
    for event in events:
        good = encode(event)
        yield good
        for kind, chance in SHARES.items():
            if random.random() < chance:
                yield _bad(good, kind)


def encode(event: Interaction) -> Message:
    """The message of an event as a producer would send it."""
    bought = event.event_type is EventType.PURCHASE
    click = {
        "event_id": event.event_id,
        "user_id": event.user_id,
        "item_id": event.item_id,
        "timestamp": event.timestamp_ms,
        "session_id": event.session_id,
    }
    purchase = {"quantity": event.quantity, "price": event.price}
    value = (
        msgspec.convert(click | purchase, PurchaseMessage) if bought else msgspec.convert(click, ClickMessage)
    )
    return Message(
        topic="purchases" if bought else "clicks",
        key=event.user_id.encode(),
        value=msgspec.json.encode(value),
        event=event,
        kind=Kind.EVENT,
    )


def _bad(good: Message, kind: Kind) -> Message:
    if kind is Kind.CUT_OFF:
        return replace(good, value=good.value[: len(good.value) // 2], kind=kind)
    if kind is Kind.UNKNOWN:
        event = replace(good.event, event_id=f"{good.event.event_id}-unknown", item_id=UNKNOWN_ITEM)
        return replace(encode(event), kind=kind)
    return replace(good, kind=kind)
