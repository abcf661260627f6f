"""The training set: a window of the topics, replayed by the records' times; or of a data set's files."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from encoders.datasets import Dataset
from encoders.errors import DataError
from encoders.evaluation.timeline import Stage, Timeline, Vectors, timeline_of
from encoders.events import EventType, Interaction, Item
from encoders.progress import Progress, no_progress
from streams.codec import Delisted, Limits, ReadsAvro, Rejected, decode_interaction, decode_item
from streams.fold_types import Behaviours
from streams.kafka.reader import Record, read, read_between
from streams.settings import KafkaSettings

TOPIC_TYPES = {"clicks": EventType.CLICK, "purchases": EventType.PURCHASE}
USUAL = Behaviours()
OLDER = 0.5
"""What is replayed of the time before the window, as a share of the window and of ``max_events``."""
TOLD_EVERY = 10_000
Place = tuple[int, str, int, int]
"""A record's time, topic, partition and offset."""


@dataclass(frozen=True)
class Window:
    """A catalogue and what users did with it, by the events' own times, oldest first."""

    items: Sequence[Item]
    events: Sequence[Interaction]
    older: Sequence[Interaction] = ()
    """From before the window: what must not be forgotten."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Messages left out, by reason."""


def replay_window(
    settings: KafkaSettings,
    limits: Limits,
    from_ms: int,
    until_ms: int,
    *,
    avro: ReadsAvro | None = None,
    behaviours: Behaviours = USUAL,
    max_events: int,
    max_items: int,
    progress: Progress = no_progress,
) -> Window:
    """Read the catalogue, the window's clicks and purchases, and half as much from before it.

    Of more than ``max_events`` the newest are kept. What cannot be read, events of items that the catalogue
    does not have, and what by ``behaviours`` speaks against its item, are left out and counted. Raises
    ``BrokerError``, and ``DataError`` where the catalogue has more than ``max_items``.
    """
    skipped: Counter[str] = Counter()
    items = _catalogue(read(settings, "items"), limits, max_items, skipped, avro)

    def replayed(start: int, end: int, most: int) -> list[Interaction]:
        records = read_between(settings, *TOPIC_TYPES, from_ms=start, until_ms=end)
        events = _decoded(_told(records, progress), limits, items, skipped, avro)
        return _newest(_liked(events, behaviours, skipped), most, skipped)

    before = max(0, from_ms - round((until_ms - from_ms) * OLDER))
    return Window(
        list(items.values()),
        replayed(from_ms, until_ms, max_events),
        replayed(before, from_ms, round(max_events * OLDER)),
        skipped,
    )


def window_of(dataset: Dataset, *, max_events: int) -> Window:
    """The newest ``max_events`` of a data set with times, and half as many from before them.

    Raises ``DataError`` where it has an order but no times.
    """
    if dataset.ordered:
        raise DataError(f"{dataset.name} has an order but no times: a trainer needs times to split by")
    events = list(dataset.interactions())
    cut = max(0, len(events) - max_events)
    older = events[max(0, cut - round(max_events * OLDER)) : cut]
    return Window(dataset.items, events[cut:], older, Counter(dataset.skipped))


def timeline(window: Window, *, repeats: bool) -> Timeline:
    """Everything of a window on one clock; ``repeats``: what a user had may be recommended again."""
    everything = sorted([*window.older, *window.events], key=lambda event: event.timestamp_ms)
    dataset = Dataset(
        "window",
        list(window.items),
        False,
        len(everything),
        Counter(),
        Counter(),
        None,
        lambda: iter(everything),
    )
    return replace(timeline_of(dataset), repeats=repeats)


def stage_at(window: Window, whole: Timeline, seconds: float, text_vectors: Vectors) -> Stage:
    """The stage of ``whole``, a window's :func:`timeline`, at a time; ``text_vectors`` [n, t] of its items.

    An item is there since its ``created_ms``, as the worker has it, and at the latest since its first event.
    """
    stage = whole.stage(seconds, text_vectors)
    created = [np.inf if item.created_ms is None else item.created_ms / 1e3 for item in window.items]
    return replace(stage, arrivals=np.minimum(stage.arrivals, created))


def split_ms(window: Window, share: float) -> int:
    """The time from which the newest ``share`` of the window's events lie; equal times stay together.

    Raises ``DataError`` where nothing would be left before it.
    """
    events = window.events
    at_ms = events[int(len(events) * (1.0 - share))].timestamp_ms if events else 0
    if not events or events[0].timestamp_ms >= at_ms:
        raise DataError(f"{len(events)} events at one time: there is no newest part to ask about")
    return at_ms


def _catalogue(
    records: Iterable[Record],
    limits: Limits,
    max_items: int,
    skipped: Counter[str],
    avro: ReadsAvro | None,
) -> dict[str, Item]:
    """The newest of each item; an item is one key, so that its partition's order decides.

    One that does not say since when it is there is taken to be there since its message.
    """
    items: dict[str, Item] = {}
    for record in records:
        item = decode_item(record.key, record.value, limits, record.headers, avro)
        if isinstance(item, Rejected):
            skipped[item.reason] += 1
        elif isinstance(item, Delisted):
            items.pop(item.item_id, None)
        else:
            known_ms = record.timestamp_ms if item.created_ms is None else item.created_ms
            items[item.item_id] = replace(item, created_ms=known_ms)
        if len(items) > max_items:
            raise DataError(f"more than {max_items} items: raise FRESHET_TRAINER__MAX_ITEMS")
    return items


def _decoded(
    records: Iterable[Record],
    limits: Limits,
    items: dict[str, Item],
    skipped: Counter[str],
    avro: ReadsAvro | None,
) -> Iterator[tuple[Place, Interaction]]:
    """Each usable event with its record's time and place."""
    now_ms = time.time_ns() // 1_000_000
    for record in records:
        kind, key, value = TOPIC_TYPES[record.topic], record.key, record.value
        event = decode_interaction(kind, key, value, now_ms, limits, record.headers, avro)
        if isinstance(event, Rejected):
            skipped[event.reason] += 1
        elif event.item_id not in items:
            skipped["unknown_item"] += 1
        else:
            yield (record.timestamp_ms, record.topic, record.partition, record.offset), event


def _liked(
    events: Iterable[tuple[Place, Interaction]], behaviours: Behaviours, skipped: Counter[str]
) -> Iterator[tuple[Place, Interaction]]:
    """Without dislikes and bad ratings: nobody is to learn, or to be asked, to recommend such an item."""
    for place, event in events:
        if event.event_type is EventType.DISLIKE or behaviours.strength(event) < 0:
            skipped["against"] += 1
        else:
            yield place, event


def _newest(
    events: Iterable[tuple[Place, Interaction]], most: int, skipped: Counter[str]
) -> list[Interaction]:
    """The ``most`` newest by their records' times, in the order of their own times; bounded memory.

    Partitions are read in any order, and the result is always the same. An event id of a user counts once.
    """
    kept: list[tuple[Place, Interaction]] = []
    for entry in events:
        if len(kept) < most:
            heapq.heappush(kept, entry)
        else:
            heapq.heappushpop(kept, entry)
    found = {(event.user_id, event.event_id): event for _, event in sorted(kept, reverse=True)}
    skipped["duplicate"] += len(kept) - len(found)
    return sorted(found.values(), key=lambda event: (event.timestamp_ms, event.user_id, event.event_id))


def _told(records: Iterable[Record], progress: Progress) -> Iterator[Record]:
    number = 0
    for number, record in enumerate(records, 1):
        if number % TOLD_EVERY == 0:
            progress("replay", number, number, "messages")
        yield record
    progress("replay", number, number, "messages")
