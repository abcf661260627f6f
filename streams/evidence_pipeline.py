"""Evidence that other users' events give an item, merged by the worker that owns the item.

A batch of some seconds is merged at once: an item that a hundred events touch is written once. Exactly-once
per item and source: each record carries the highest offset it has merged, and the write is a
compare-and-swap; a batch may be repeated, by this worker or by its heir.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from encoders.errors import DataError, StoreUnavailable
from encoders.events import EventType
from encoders.evidence import Counted, Entries
from streams.catalog_replica import CatalogReplica
from streams.codec import Rejected
from streams.dead_letters import dead_letter
from streams.evidence_messages import Addition, EventEvidence, EvidenceMessage, decode_evidence
from streams.evidence_state import REMEMBERED, EvidenceState, records_of, unpack_evidence
from streams.fold_types import DeadLetter, Received
from streams.serving import Serving
from streams.set_aside import tell_dead_letters
from streams.user_states import TOKEN_BITS

CONFLICT_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class _Owned:
    """An item's evidence as stored, as far as it is not in the replica's arrays."""

    sequence: int
    state: EvidenceState


@dataclass(frozen=True, slots=True)
class _Added:
    """One event's addition to one item, with names instead of numbers."""

    source: str
    offset: int
    late: bool
    seconds: float
    strength: float
    pairs: list[tuple[str, float, float]]
    bought: bool
    place: int


class EvidencePipeline:
    """Micro-batches of ``evidence``, one at a time; blocking work runs in the serving executor."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._owned: dict[str, _Owned] = {}
        self.lock = asyncio.Lock()
        """Held during a batch: the model changes between two."""

    @property
    def _replica(self) -> CatalogReplica:
        return self._serving.replica

    async def process(self, messages: Sequence[Received]) -> None:
        """Merge a batch; returns when it is durable. Safe to repeat after any fault.

        Raises ``StoreUnavailable`` or ``BrokerUnavailable`` when it should be repeated later.
        """
        async with self.lock:
            refused = await self._serving.in_thread(self._merge, messages)
        await self._serving.publish([dead_letter(one) for one in refused])
        tell_dead_letters(refused, self._serving.metrics)

    async def partitions_moved(self) -> None:
        """Forget what another worker may change now."""
        async with self.lock:
            self._owned = {}

    def model_changed(self, lost: Iterable[str]) -> None:
        """Between two batches: the replica at work is another one, which lacks the evidence of ``lost``."""
        self._forget(lost)

    def _merge(self, messages: Sequence[Received]) -> list[DeadLetter]:
        """Blocks; returns the messages that cannot be read."""
        with self._serving.metrics.stage("evidence"):
            added, refused = _decode(messages)
            self._replica.ensure(_names(added))
            self._count(
                "unknown_item", sum(len(of) for item, of in added.items() if item not in self._replica)
            )
            due = {item_id: of for item_id, of in added.items() if item_id in self._replica}
            for _ in range(CONFLICT_ROUNDS):
                due = {item_id: due[item_id] for item_id in self._write(due)}
                if not due:
                    return refused
        raise StoreUnavailable(f"evidence of {len(due)} items is written by another worker all the time")

    def _write(self, added: Mapping[str, list[_Added]]) -> list[str]:
        """Merge what is new and write it; returns the items whose write lost."""
        self._load(added)
        fresh: dict[str, EvidenceState] = {}
        new: list[tuple[str, _Added]] = []
        for item_id, of_item in added.items():
            state = self._owned[item_id].state.copy()
            accepted = [one for one in of_item if _is_new(state, one)]
            if accepted:
                fresh[item_id] = state
                new += [(item_id, one) for one in accepted]
        self._count("merged", len(new))
        self._count("repeated", sum(map(len, added.values())) - len(new))
        try:
            lost = self._swap(fresh, new)
        except BaseException:
            self._forget(fresh)
            raise
        self._forget(lost)
        return lost

    def _swap(self, fresh: dict[str, EvidenceState], new: Sequence[tuple[str, _Added]]) -> list[str]:
        if not fresh:
            return []
        replica = self._replica
        states = [(item_id, self._owned[item_id].sequence + 1, state) for item_id, state in fresh.items()]
        with replica.lock:
            self._add(new)
            records = records_of(
                replica.evidence,
                replica.items,
                states,
                secrets.randbits(TOKEN_BITS),
                self._serving.clock_ms(),
            )
        lost = self._serving.store.upsert_evidence(self._serving.names, records)
        for item_id, sequence, state in states:
            self._owned[item_id] = _Owned(sequence, state)
            replica.wrote(item_id, sequence)
        for follower in self._serving.followers:
            follower.replica.take_in(one.as_stored() for one in records if one.item_id not in lost)
        return lost

    def _add(self, new: Sequence[tuple[str, _Added]]) -> None:
        """Put additions into the arrays."""
        rows = self._replica.items.rows
        counted = [
            (rows[item_id], one.strength, one.seconds, one.strength * one.bought, one.place)
            for item_id, one in new
            if one.strength > 0
        ]
        entries = [
            (rows[item_id], rows[neighbour], weight, received, one.seconds)
            for item_id, one in new
            for neighbour, weight, received in one.pairs
            if neighbour in rows
        ]
        if counted:
            item, strength, seconds, bought, place = np.array(counted, np.float64).T
            self._replica.evidence.count(
                Counted(item.astype(np.int64), strength, seconds, bought, place.astype(np.int64))
            )
        if entries:
            item, neighbour, weight, received, seconds = np.array(entries, np.float64).T
            self._replica.evidence.add(
                Entries(item.astype(np.int64), neighbour.astype(np.int64), weight, received, seconds)
            )

    def _load(self, item_ids: Iterable[str]) -> None:
        """What the store holds of items that this worker has not written yet."""
        missing = [item_id for item_id in item_ids if item_id not in self._owned]
        if not missing:
            return
        found = self._serving.store.retrieve_evidence(self._serving.names, missing)
        stored = [record for record in found if record is not None]
        self._replica.take_in(stored)
        self._replica.reset_evidence(set(missing) - {record.item_id for record in stored})
        self._owned |= {item_id: _Owned(0, EvidenceState()) for item_id in missing}
        self._owned |= {
            record.item_id: _Owned(record.sequence, unpack_evidence(record.blob)) for record in stored
        }

    def _forget(self, item_ids: Iterable[str]) -> None:
        """Memory holds what the store may not: read it again."""
        for item_id in item_ids:
            self._owned.pop(item_id, None)
        self._replica.forget_evidence(item_ids)

    def _count(self, outcome: str, additions: int) -> None:
        self._serving.metrics.evidence.labels(outcome).inc(additions)


def _is_new(state: EvidenceState, one: _Added) -> bool:
    """Whether an addition was not merged before; notes it as merged."""
    if one.late:
        name = late_name(one.source, one.offset)
        if name in state.late:
            return False
        state.late = [*state.late, name][-REMEMBERED:]
        return True
    if one.offset <= state.offsets.get(one.source, -1):
        return False
    state.offsets[one.source] = one.offset
    return True


def late_name(source: str, offset: int) -> str:
    """Names an event that came out of order."""
    return f"{source}:{offset}"


def _decode(messages: Sequence[Received]) -> tuple[dict[str, list[_Added]], list[DeadLetter]]:
    """Item -> its additions, in the order of the messages, and what cannot be read."""
    added: dict[str, list[_Added]] = {}
    refused = []
    for received in messages:
        try:
            message = decode_evidence(received.value)
            named = [
                (message.items[addition.item], _named(message, event, addition))
                for event in message.events
                for addition in event.additions
            ]
        except (DataError, IndexError) as error:
            refused.append(DeadLetter(received, Rejected("schema", str(error))))
            continue
        for item_id, one in named:
            added.setdefault(item_id, []).append(one)
    return added, refused


def _named(message: EvidenceMessage, event: EventEvidence, addition: Addition) -> _Added:
    pairs = [(message.items[number], weight, received) for number, weight, received in addition.pairs]
    source = message.sources[event.source]
    bought = event.event_type == EventType.PURCHASE
    return _Added(
        source, event.offset, event.late, event.seconds, addition.strength, pairs, bought, event.place
    )


def _names(added: Mapping[str, Sequence[_Added]]) -> set[str]:
    """Every item that is spoken of."""
    neighbours = (pair[0] for of_item in added.values() for one in of_item for pair in one.pairs)
    return set(added).union(neighbours)
