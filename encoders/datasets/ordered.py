"""Times for data that have an order alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from encoders.events import EventType, Interaction, Item

START_MS: Final = 946_684_800_000
"""2000-01-01, when the invented times begin."""


def spread_in_time(
    name: str, sequences: Mapping[str, Sequence[int]], items: Sequence[Item]
) -> Iterator[Interaction]:
    """Each user's sequence of indices into ``items`` as purchases, one second apart: everybody's first item,
    in the order of ``sequences``, then everybody's second, and so on. The times mean nothing.
    """
    left = list(sequences.items())
    timestamp_ms, position = START_MS, 0
    while left:
        for user, sequence in left:
            item_id = items[sequence[position]].item_id
            event_id = f"{name}-{user}-{position}"
            yield Interaction(user, item_id, EventType.PURCHASE, timestamp_ms, event_id)
            timestamp_ms += 1000
        position += 1
        left = [row for row in left if len(row[1]) > position]
