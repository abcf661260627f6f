"""The catalogue: items in, vectors out.

An item's text is encoded once: a message that changes price or availability alone writes the stored vectors
again. Every worker reads all items' vectors (``catalog_replica``), whichever worker encoded them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from encoders.events import Item
from exporters.vector_store import ItemRecord, Vector
from streams.codec import Delisted, Limits, Rejected, decode_item
from streams.dead_letters import dead_letter
from streams.fold_types import DeadLetter, Received
from streams.schema_registry import learn_schemas
from streams.serving import Serving
from streams.set_aside import tell_dead_letters

if TYPE_CHECKING:
    from streams.avro import AvroReader

EPOCH_SHIFT = 40
"""Offsets below 2**40 and epochs below 2**13 together stay exact in Qdrant's 64-bit floats."""


def text_digest(text: str) -> str:
    """Names a text, so that an unchanged one is not encoded again."""
    return blake2b(text.encode(errors="replace"), digest_size=12).hexdigest()


class Arrived(NamedTuple):
    """The last message of an item; ``rank`` is its epoch and offset, ``at_ms`` the time of its record."""

    rank: int
    decoded: Item | Delisted
    at_ms: int


Latest = dict[str, Arrived]


class CatalogPipeline:
    """One micro-batch of ``items``: decode, encode what changed, upsert; blocking work in ``executor``."""

    def __init__(
        self, serving: Serving, limits: Limits, source_epoch: int = 0, avro: AvroReader | None = None
    ) -> None:
        self._serving = serving
        self._limits = limits
        self._avro = avro
        # A topic that was made anew counts from 0 again, and must still outrank what is stored.
        self._epoch_offset = source_epoch << EPOCH_SHIFT
        self.lock = asyncio.Lock()
        """Held during a batch: the model changes between two."""

    async def process(self, messages: Sequence[Received]) -> None:
        """Store a batch; returns when it is durable and its dead letters are delivered. Safe to repeat."""
        await learn_schemas(self._serving, self._avro, messages)
        latest, refused = self._decode(messages)
        serving, metrics = self._serving, self._serving.metrics
        await serving.publish([dead_letter(one) for one in refused])
        async with self.lock:
            await serving.in_thread(self._write, latest)
        tell_dead_letters(refused, metrics)
        metrics.items.labels("dead_lettered").inc(len(refused))
        metrics.known_items.set(len(serving.replica))

    def _decode(self, messages: Sequence[Received]) -> tuple[Latest, list[DeadLetter]]:
        """The last message of each item, and what cannot be read."""
        latest: Latest = {}
        refused = []
        for message in messages:
            decoded = decode_item(message.key, message.value, self._limits, message.headers, self._avro)
            if isinstance(decoded, Rejected):
                refused.append(DeadLetter(message, decoded))
            else:
                rank = message.offset + self._epoch_offset
                latest[decoded.item_id] = Arrived(rank, decoded, message.timestamp_ms)
        return latest, refused

    def _write(self, latest: Latest) -> None:
        if not latest:
            return
        serving = self._serving
        found = serving.store.retrieve_items(serving.names, list(latest), with_text=True)
        serving.replica.add([one for one in found if one is not None])
        stored = dict(zip(latest, found, strict=True))
        # After a fault older messages come again: the replica must not go back where the store stays.
        newer = {item_id: one for item_id, one in latest.items() if _outranks(one[0], stored[item_id])}
        records = self._records(newer, stored)
        if not records:
            return
        with serving.metrics.stage("item_upsert"):
            # The followers first: a batch that is repeated finds in the model at work what was done.
            for follower in serving.followers:
                follower.take_in(serving.store, follower.encoded(records))
            serving.generation.take_in(serving.store, records)

    def _records(self, newer: Latest, stored: dict[str, ItemRecord | None]) -> list[ItemRecord]:
        with self._serving.metrics.stage("item_encode"):
            text_vectors = self._text_vectors(newer, stored)
            now_ms = self._serving.clock_ms()
            records = [
                _record(one, stored[item_id], text_vectors.get(item_id), now_ms)
                for item_id, one in newer.items()
            ]
            return self._serving.generation.encoded([one for one in records if one is not None])

    def _text_vectors(self, latest: Latest, stored: dict[str, ItemRecord | None]) -> dict[str, Vector]:
        """Encode the texts that the store does not hold yet: item id -> [t]."""
        texts: dict[str, str] = {}
        for item_id, (_, decoded, _) in latest.items():
            if isinstance(decoded, Item) and not _same_text(stored[item_id], decoded):
                texts[item_id] = decoded.text
        self._serving.metrics.items.labels("encoded").inc(len(texts))
        self._serving.metrics.items.labels("unchanged_text").inc(len(latest) - len(texts))
        if not texts:
            return {}
        return dict(zip(texts, self._serving.model.encode_texts(list(texts.values())), strict=True))


def _outranks(offset: int, stored: ItemRecord | None) -> bool:
    return stored is None or stored.source_offset < offset


def _same_text(stored: ItemRecord | None, item: Item) -> bool:
    return stored is not None and stored.text_digest == text_digest(item.text)


def _record(
    arrived: Arrived, stored: ItemRecord | None, text_vector: Vector | None, now_ms: int
) -> ItemRecord | None:
    """The record to write; a delisted item stays (histories point to it) but is never recommended."""
    offset, decoded, at_ms = arrived
    if isinstance(decoded, Delisted):
        if stored is None:
            return None
        return replace(stored, available=False, source_offset=offset, updated_at_ms=now_ms)
    if text_vector is None:
        assert stored is not None
        text_vector = stored.text_vector
    return ItemRecord(
        item_id=decoded.item_id,
        vector=np.empty(0, np.float32),
        text_vector=text_vector,
        title=decoded.title,
        categories=decoded.categories,
        price=decoded.price,
        available=decoded.available,
        text_digest=text_digest(decoded.text),
        source_offset=offset,
        updated_at_ms=now_ms,
        brand=decoded.brand,
        created_at_ms=_created_ms(decoded, stored, at_ms, now_ms),
    )


def _created_ms(item: Item, stored: ItemRecord | None, at_ms: int, now_ms: int) -> int:
    """What the shop says, else what is known, else the time of the item's first message.

    A time to come counts as now, or one wrong date would make all other items old; one before 1970 as
    unknown.
    """
    if item.created_ms is not None:
        return max(0, min(item.created_ms, now_ms))
    return at_ms if stored is None else stored.created_at_ms
