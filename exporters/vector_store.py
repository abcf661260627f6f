"""The port to the vector store: what Freshet asks of Qdrant, in Freshet's words.

Two adapters fulfil it, ``qdrant_server`` (by URL) and ``qdrant_edge`` (the same engine in this process, by
path); ``tests/contracts/vector_store_contract.py`` holds both to the same promises. All calls block: the
event loop calls them in a thread. Every method raises ``StoreUnavailable`` when the same call may succeed
later and ``StoreError`` when it cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CollectionNames:
    """Where one model version keeps its vectors: vectors of two versions never share a collection."""

    items: str
    users: str
    counters: str
    evidence: str
    """What users did with each item: of no model version, since it outlives them."""

    @classmethod
    def of(cls, model_version: str, prefix: str = "") -> CollectionNames:
        """Name the collections of a model version; ``prefix`` separates tenants or environments."""
        return cls(
            f"{prefix}items-{model_version}",
            f"{prefix}users-{model_version}",
            f"{prefix}counters",
            f"{prefix}evidence",
        )


@dataclass(frozen=True, slots=True)
class VectorSizes:
    """Dimensions of a model's vectors: ``item`` [d], ``text`` [t], ``state`` [s]."""

    item: int
    text: int
    state: int


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """An item as stored: its vector [d] (unit length), its text vector [t], and what a person would read."""

    item_id: str
    vector: Vector
    text_vector: Vector
    title: str
    categories: tuple[str, ...]
    price: float | None
    available: bool
    text_digest: str
    """Digest of the text that was encoded: an item whose text did not change is not encoded again."""
    source_offset: int
    """Offset of the item's message; an older message never overwrites a newer one."""
    updated_at_ms: int
    """When the store received it, milliseconds since 1970-01-01 UTC."""
    brand: str | None = None
    created_at_ms: int = 0
    """Since when the item is in the catalogue, milliseconds since 1970-01-01 UTC; 0 where nobody said."""


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items a search may return, besides that they are available; an empty field asks for nothing.

    An item passes a price rule only if it has a price, ``any_*`` only if it has one of the values, and
    ``created_since_ms`` only if it is that new.
    """

    min_price: float | None = None
    max_price: float | None = None
    any_category: tuple[str, ...] = ()
    no_category: tuple[str, ...] = ()
    any_brand: tuple[str, ...] = ()
    no_brand: tuple[str, ...] = ()
    created_since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """What users did with an item, as stored: its neighbours as a sparse vector, the rest packed.

    ``dimensions`` [m] (``dimension_of`` each neighbour) and ``weights`` [m] are the sparse vector; ``blob``
    is what only ``streams.evidence_state`` reads. ``sequence`` and ``token`` make a write a compare-and-swap,
    as with users.
    """

    item_id: str
    dimensions: npt.NDArray[np.uint32]
    weights: Vector
    blob: bytes
    sequence: int
    token: int
    updated_at_ms: int

    def as_stored(self) -> EvidenceRecord:
        """The same with ascending dimensions, the weights of equal ones added up: so it comes back."""
        order = np.argsort(self.dimensions)
        dimensions, weights = self.dimensions[order], self.weights[order]
        if len(order) and (dimensions[1:] == dimensions[:-1]).any():  # rare, and takes four times as long
            dimensions, places = np.unique(dimensions, return_inverse=True)
            weights = np.bincount(places, weights, len(dimensions)).astype(np.float32)
        return replace(self, dimensions=dimensions, weights=weights)


def dimension_of(item_id: str) -> int:
    """The dimension of an item in sparse vectors: 32 bits of its id.

    Two of n items share one with a chance of about n² / 2^33 (5 % at 20,000): their evidence is then mixed.
    """
    return int.from_bytes(blake2b(item_id.encode("utf-8", "surrogatepass"), digest_size=4).digest())


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user as stored.

    ``interest`` [d] (unit length, or zeros before the first event) and ``state`` [s] come from the user
    tower; ``blob`` is the packed history that only ``streams.state`` reads. ``sequence`` counts the writes to
    this user and ``token`` names the one write (both below 2**53, exact in a float64): together they make an
    upsert a compare-and-swap. ``waiting`` counts events that wait for an unknown item.
    """

    user_id: str
    interest: Vector
    state: Vector
    blob: bytes
    sequence: int
    token: int
    waiting: int
    updated_at_ms: int


class ScoredItem(NamedTuple):
    """A retrieved item with its score (the dot product of unit vectors, -1 to 1)."""

    item_id: str
    score: float


@dataclass(frozen=True, slots=True)
class CounterRecord:
    """A named blob (the trending counts of one partition): ``sequence`` orders its writes."""

    name: str
    blob: bytes
    sequence: int


class VectorStore(Protocol):
    """What the running system needs of the store. Thread-safe: several threads may call at once."""

    @property
    def shared(self) -> bool:
        """Whether another process may write to it: what was read may then have changed since."""

    def ensure_collections(self, names: CollectionNames, sizes: VectorSizes) -> None:
        """Create what is missing, with payload indexes; raise ``StoreError`` where other sizes exist."""

    def has_users(self, names: CollectionNames) -> bool:
        """Whether there is a collection of this version's users, empty or not."""

    def upsert_items(self, names: CollectionNames, items: Sequence[ItemRecord]) -> None:
        """Write items and wait. A record whose ``source_offset`` is not above the stored one is ignored."""

    def retrieve_items(
        self, names: CollectionNames, item_ids: Sequence[str], with_text: bool = False
    ) -> list[ItemRecord | None]:
        """The items in the order asked for, or ``None``; ``text_vector`` is empty [0] unless asked for."""

    def scroll_items(self, names: CollectionNames, updated_since_ms: int = 0) -> Iterator[list[ItemRecord]]:
        """All items with ``updated_at_ms >= updated_since_ms``, in pages; ``text_vector`` is empty [0]."""

    def copy_items(
        self,
        source: CollectionNames,
        target: CollectionNames,
        encode: Callable[[Vector], Vector],
        updated_since_ms: int = 0,
    ) -> Iterator[list[ItemRecord]]:
        """Write items of one version under another, where they are absent or older there.

        ``encode`` makes vectors [n, d] of text vectors [n, t]. In pages that are small enough to work beside
        others, each read when it is asked for; yields what was written of it, or is newer there, with
        ``text_vector`` as above. What has no page yet may be incomplete until the last one.
        """

    def nearest_items(
        self,
        names: CollectionNames,
        queries: Vector,
        limits: Sequence[int],
        filters: Sequence[ItemFilter | None] | None = None,
    ) -> list[list[ScoredItem]]:
        """For each query [n, d] the nearest *available* items, best first, at most ``limits[i]`` of them.

        ``filters[i]`` says which of the available items query ``i`` wants. One batched request. Equal scores
        are in the order of ``item_id``, across the last place too, so that a replay answers the same. Nothing
        is near to a query of zeros: its list is empty.
        """

    def retrieve_users(self, names: CollectionNames, user_ids: Sequence[str]) -> list[UserRecord | None]:
        """The users in the order asked for, ``None`` where there is none."""

    def upsert_users(self, names: CollectionNames, users: Sequence[UserRecord]) -> list[str]:
        """Compare-and-swap each user (at most once a call) and wait: written where the stored one is older.

        "Older" is a lower ``sequence``, or no such user. Returns the ids whose write lost, since another
        worker wrote in between: read them again and reapply. A write that another one has built on already is
        reported as lost too; the record then read again holds it.
        """

    def waiting_users(self, names: CollectionNames) -> Iterator[list[UserRecord]]:
        """All users with ``waiting > 0``, in pages."""

    def upsert_evidence(self, names: CollectionNames, records: Sequence[EvidenceRecord]) -> list[str]:
        """Compare-and-swap the evidence on each item and wait, as ``upsert_users`` does; the ids that lost.

        Neighbours that share a dimension are added up (``EvidenceRecord.as_stored``).
        """

    def retrieve_evidence(
        self, names: CollectionNames, item_ids: Sequence[str]
    ) -> list[EvidenceRecord | None]:
        """The evidence on these items in the order asked for, ``None`` where there is none."""

    def scroll_evidence(
        self, names: CollectionNames, updated_since_ms: int = 0
    ) -> Iterator[list[EvidenceRecord]]:
        """All evidence with ``updated_at_ms >= updated_since_ms``, in pages."""

    def upsert_counters(self, names: CollectionNames, counters: Sequence[CounterRecord]) -> None:
        """Write counters and wait; one whose ``sequence`` is not above the stored one is ignored."""

    def read_counters(self, names: CollectionNames) -> list[CounterRecord]:
        """All counters."""

    def count_items(self, names: CollectionNames) -> int:
        """How many items the collection holds, available or not."""

    def count_users(self, names: CollectionNames) -> int:
        """How many users the collection holds."""

    def ping(self) -> None:
        """Return when the store answers; raise ``StoreUnavailable`` otherwise."""

    def close(self) -> None:
        """Flush and release what is held."""
