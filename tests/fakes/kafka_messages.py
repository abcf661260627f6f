"""Messages as Kafka gives them, made from few words."""

from __future__ import annotations

import json
from typing import Any

from streams.fold_types import Received

NOW_MS = 1_700_000_000_000
"""2023-11-14T22:13:20Z: the clock of tests."""


def click(user_id: str, item_id: str, offset: int, **fields: Any) -> Received:
    """A message on ``clicks``; ``fields`` beat what is made up here (``partition`` is the partition)."""
    return event("clicks", user_id, item_id, offset, **fields)


def purchase(user_id: str, item_id: str, offset: int, **fields: Any) -> Received:
    """A message on ``purchases``."""
    return event("purchases", user_id, item_id, offset, **fields)


def event(topic: str, user_id: str, item_id: str, offset: int, partition: int = 0, **fields: Any) -> Received:
    """A message about a user, one second of event time an offset unless ``timestamp`` is given."""
    body = {
        "event_id": f"{topic}-{partition}-{offset}",
        "user_id": user_id,
        "item_id": item_id,
        "timestamp": NOW_MS - 1_000_000 + 1_000 * offset,
        **fields,
    }
    return message(topic, user_id.encode(), json.dumps(body).encode(), offset, partition)


def item(item_id: str, offset: int, **fields: Any) -> Received:
    """A message on ``items``."""
    body = {"item_id": item_id, "title": f"Title of {item_id}", **fields}
    return message("items", item_id.encode(), json.dumps(body).encode(), offset)


def message(
    topic: str, key: bytes | None, value: bytes | None, offset: int = 0, partition: int = 0
) -> Received:
    """Any bytes; the record's own time is ``NOW_MS``."""
    return Received(topic, partition, offset, key, value, NOW_MS)
