"""What is trending: counts that fade, one set a partition, summed over partitions. Pure.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009): an event at time t counts
``weight * 2 ** ((t - landmark) / half_life)`` for ever, and only the comparison is scaled to "now". So the
order of arrival does not matter, nothing is touched as time passes, and sums over partitions are exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest
from math import log2

import msgspec
from msgspec import Struct

from encoders.errors import StoreError
from encoders.events import EventType

WEIGHTS = {EventType.CLICK: 1.0, EventType.PURCHASE: 3.0, EventType.CART: 2.0}
"""How much an event counts; other types say nothing about what trends."""
KEPT_ITEMS = 1_000
"""Items kept a partition: far more than are ever shown, and a blob of some 30 kB."""


class DecayedCounts(Struct, array_like=True):
    """Fading counts of one partition.

    ``weights`` are logarithms to base 2 of the forward-decayed sums, so that no event is too late or too far
    ahead to add. ``offsets`` (topic -> highest counted offset) tell how far they reach.
    """

    half_life_ms: float
    weights: dict[str, float] = {}
    offsets: dict[str, int] = {}

    def add(self, item_id: str, event_type: EventType, timestamp_ms: int) -> None:
        """Count one event of a type that has a weight."""
        if event_type not in WEIGHTS:
            return
        logarithm = log2(WEIGHTS[event_type]) + timestamp_ms / self.half_life_ms
        self.weights[item_id] = _log2_sum(self.weights.get(item_id), logarithm)

    def count(self, topic: str, offset: int, item_id: str, event_type: EventType, timestamp_ms: int) -> None:
        """Count one event of a partition's topic; the order of offsets does not matter.

        A batch arrives user by user and an event that waited arrives late, so an offset below the highest is
        no repetition.
        """
        self.offsets[topic] = max(offset, self.offsets.get(topic, -1))
        self.add(item_id, event_type, timestamp_ms)

    def prune(self) -> None:
        """Keep the ``KEPT_ITEMS`` strongest."""
        if len(self.weights) > 2 * KEPT_ITEMS:
            self.weights = dict(nlargest(KEPT_ITEMS, self.weights.items(), key=lambda pair: pair[1]))


def top(counts: Iterable[DecayedCounts], n: int) -> list[tuple[str, float]]:
    """The ``n`` items that trend most over all partitions, with their share of the strongest (0 to 1).

    Equal shares are in the order of the item id.
    """
    total: dict[str, float] = {}
    for partition in counts:
        for item_id, logarithm in partition.weights.items():
            total[item_id] = _log2_sum(total.get(item_id), logarithm)
    if not total:
        return []
    peak = max(total.values())
    ranked = sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:n]
    return [(item_id, 2.0 ** (logarithm - peak)) for item_id, logarithm in ranked]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DecayedCounts)


def pack_counts(counts: DecayedCounts) -> bytes:
    """The bytes that the store keeps."""
    return _encoder.encode(counts)


def unpack_counts(blob: bytes) -> DecayedCounts:
    """Read :func:`pack_counts`'s bytes; raises ``StoreError`` when they are damaged."""
    try:
        return _decoder.decode(blob)
    except msgspec.DecodeError as error:
        raise StoreError(f"stored trending counts cannot be read ({error})") from None


def _log2_sum(one: float | None, other: float) -> float:
    """``log2(2**one + 2**other)`` without leaving the range of a float."""
    if one is None:
        return other
    high, low = max(one, other), min(one, other)
    return high + log2(1.0 + 2.0 ** (low - high))
