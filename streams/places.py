"""Where messages are on Kafka, as fields of a line in the log."""

from __future__ import annotations

from collections.abc import Iterable

from streams.fold_types import Received


def place_of(received: Received) -> dict[str, object]:
    """Of one message; the topic without its prefix."""
    return {"topic": received.topic, "partition": received.partition, "offset": received.offset}


def ranges_of(messages: Iterable[Received]) -> list[dict[str, object]]:
    """Of a batch: the first and the last offset of each partition that it has messages of."""
    offsets: dict[tuple[str, int], list[int]] = {}
    for one in messages:
        offsets.setdefault((one.topic, one.partition), []).append(one.offset)
    return [
        {"topic": topic, "partition": partition, "first": min(found), "last": max(found)}
        for (topic, partition), found in offsets.items()
    ]
