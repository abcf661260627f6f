"""The load: clicks and purchases as a shop's producers would send them.

Users and items are drawn independently from Zipf distributions. The items are more skewed than the users: a
best-seller takes its share of a shop's clicks, but no shopper clicks twenty times a second. With users as
skewed as items every eleventh event would be one user's, a batch would hold few users, and the figures would
flatter.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from streams.messages import ClickMessage, PurchaseMessage

ITEM_EXPONENT = 1.0
USER_EXPONENT = 0.8
PURCHASE_SHARE = 0.1
MEAN_GAP_MS = 2
DEVICES = ("mobile", "desktop", "tablet")
PAGES = ("product", "search", "category", "home")


@dataclass(frozen=True, slots=True)
class Event:
    """One message to send; ``topic`` without its prefix."""

    topic: str
    user_id: str
    event_id: str
    value: bytes


def item_id(number: int) -> str:
    """The id of the ``number``-th most popular item."""
    return f"item-{number:06d}"


def user_id(number: int) -> str:
    """The id of the ``number``-th most active user."""
    return f"user-{number:06d}"


def zipf(rng: np.random.Generator, n: int, exponent: float, size: int) -> npt.NDArray[np.int64]:
    """Draw ranks [size] in 0..n-1, rank r with a probability proportional to ``(r + 1) ** -exponent``."""
    weights = np.arange(1, n + 1, dtype=np.float64) ** -exponent
    return np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(size)).clip(max=n - 1)


def make_events(count: int, *, items: int, users: int, seed: int, start_ms: int) -> Iterator[Event]:
    """``count`` events, the same for the same arguments; the first at ``start_ms``, then one a few ms."""
    rng = np.random.default_rng(seed)
    times = start_ms + np.cumsum(rng.integers(0, 2 * MEAN_GAP_MS + 1, count))
    drawn = zip(
        zipf(rng, users, USER_EXPONENT, count).tolist(),
        zipf(rng, items, ITEM_EXPONENT, count).tolist(),
        times.tolist(),
        (rng.random(count) < PURCHASE_SHARE).tolist(),
        strict=True,
    )
    for user, item, at_ms, bought in drawn:
        yield _event(uuid.UUID(bytes=rng.bytes(16)), user, item, at_ms, bought)


def _event(unique: uuid.UUID, user: int, item: int, at_ms: int, bought: bool) -> Event:
    who, event_id = user_id(user), str(unique)
    common = {
        "event_id": event_id,
        "user_id": who,
        "item_id": item_id(item),
        "timestamp": at_ms,
        "session_id": f"session-{user:06d}-{at_ms // 1_800_000}",
        "context": {"device": DEVICES[user % len(DEVICES)], "page": PAGES[item % len(PAGES)]},
    }
    message = (
        msgspec.convert(common | {"quantity": 1 + item % 3, "price": 5 + item % 200 + 0.99}, PurchaseMessage)
        if bought
        else msgspec.convert(common, ClickMessage)
    )
    topic = "purchases" if bought else "clicks"
    return Event(topic, who, event_id, msgspec.json.encode(message))
