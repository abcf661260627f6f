"""Evidence on its way to whoever owns the items: what each event adds, bundled by partition. Pure.

The topic ``evidence`` is internal: one message a micro-batch and partition, MessagePack inside. Every
addition names the event it comes from, so that the owner counts it once however often it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import msgspec
from msgspec import Struct

from encoders.covisitation import CovisitationConfig, Visit, pairs_of
from encoders.errors import DataError
from encoders.events import EventType
from streams.fold_types import Visited

SEALED_BYTES = 500_000
"""A bundle of about this size is a message; clients send no more than 1 MiB unless told."""
MAX_BYTES = 1_048_576
PAIR_BYTES = 24
"""Most that a pair takes, names apart."""


class Addition(Struct, array_like=True, frozen=True):
    """What an event adds to one item: ``strength`` to its popularity, and (neighbour, weight, received)."""

    item: int
    strength: float
    pairs: list[tuple[int, float, float]]


class EventEvidence(Struct, array_like=True, frozen=True):
    """What one event adds to the items of a partition; ``late`` where offsets are out of order, ``place``:
    how many events its user had before.
    """

    source: int
    offset: int
    late: bool
    seconds: float
    additions: list[Addition]
    event_type: int = EventType.CLICK
    place: int = 0


class EvidenceMessage(Struct, array_like=True, frozen=True):
    """A message on ``evidence``; items and sources are named once and numbered."""

    items: list[str]
    sources: list[str]
    events: list[EventEvidence]


def partition_of(item_id: str, partitions: int) -> int:
    """The partition of ``evidence`` that an item belongs to."""
    return crc32(item_id.encode()) % partitions


def bundles(
    visited: Iterable[Visited], config: CovisitationConfig, epoch: int, partitions: int
) -> list[tuple[int, bytes]]:
    """Messages for these events: (partition, bytes), events in the order of their offsets."""
    found = [_Bundle() for _ in range(partitions)]
    for one in sorted(visited, key=lambda each: each.received.offset):
        source = f"{epoch}/{one.received.topic}:{one.received.partition}"
        seconds = one.event.timestamp_ms / 1000
        by_item = _additions(one, config)
        by_partition: dict[int, list[str]] = {}
        for item_id in by_item:
            by_partition.setdefault(partition_of(item_id, partitions), []).append(item_id)
        for partition, item_ids in by_partition.items():
            found[partition].add(source, one, seconds, {item_id: by_item[item_id] for item_id in item_ids})
    return [(partition, blob) for partition, bundle in enumerate(found) for blob in bundle.encoded()]


def decode_evidence(value: bytes | None) -> EvidenceMessage:
    """Read a message; raises ``DataError`` where it is none."""
    if value is None or len(value) > MAX_BYTES:
        raise DataError("a message on the evidence topic is empty or too large: only workers may write to it")
    try:
        return _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise DataError(
            f"a message on the evidence topic cannot be read ({error}): only workers may write to it"
        ) from None


_Pairs = list[tuple[str, float, float]]


def _additions(one: Visited, config: CovisitationConfig) -> dict[str, tuple[float, _Pairs]]:
    """Item -> (strength, (neighbour, weight, received)...), the event's own item always among them."""
    event = one.event
    new = _visit(event.item_id, event.event_type, event.timestamp_ms, one.against)
    history = [_visit(old.item_id, old.event_type, old.timestamp_ms, old.against) for old in one.before]
    found: dict[str, tuple[float, _Pairs]] = {event.item_id: (config.strength(new.event_type), [])}
    pairs = pairs_of(history, new, config)
    # Each pair comes with its reverse, whose weight is what the item itself receives.
    for (first, second, weight), (_, _, back) in zip(pairs[::2], pairs[1::2], strict=True):
        found.setdefault(first, (0.0, []))[1].append((second, weight, back))
        found.setdefault(second, (0.0, []))[1].append((first, back, weight))
    return found


def _visit(item_id: str, event_type: int, timestamp_ms: int, against: bool) -> Visit[str]:
    """What speaks against its item counts as a dislike: a bad rating makes no neighbours."""
    kind = EventType.DISLIKE if against else event_type
    return Visit(item_id, int(kind), timestamp_ms / 1000)


class _Bundle:
    """What goes to one partition, with names numbered in the order of their first use."""

    def __init__(self) -> None:
        self._items: dict[str, int] = {}
        self._sources: dict[str, int] = {}
        self._events: list[EventEvidence] = []
        self._done: list[bytes] = []
        self._size = 0

    def add(
        self, source: str, one: Visited, seconds: float, by_item: dict[str, tuple[float, _Pairs]]
    ) -> None:
        additions = [
            Addition(
                self._number(item_id),
                strength,
                [(self._number(neighbour), weight, received) for neighbour, weight, received in pairs],
            )
            for item_id, (strength, pairs) in by_item.items()
        ]
        number = self._sources.setdefault(source, len(self._sources))
        kind, place = int(one.event.event_type), one.nth
        self._events.append(
            EventEvidence(number, one.received.offset, one.waited, seconds, additions, kind, place)
        )
        self._size += sum(PAIR_BYTES * (1 + len(pairs)) for _, pairs in by_item.values())
        if self._size >= SEALED_BYTES:
            self._seal()

    def encoded(self) -> list[bytes]:
        self._seal()
        return self._done

    def _number(self, item_id: str) -> int:
        number = self._items.get(item_id)
        if number is None:
            number = self._items[item_id] = len(self._items)
            self._size += len(item_id.encode())
        return number

    def _seal(self) -> None:
        if self._events:
            message = EvidenceMessage(list(self._items), list(self._sources), self._events)
            self._done.append(_encoder.encode(message))
        self._items, self._sources, self._events, self._size = {}, {}, [], 0


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(EvidenceMessage)
