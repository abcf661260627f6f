"""The engine in this process: qdrant-edge, the engine of the Qdrant server, on a local folder.

One folder belongs to one process. Every write goes to the engine's write-ahead log before the call returns,
so whatever was written survives the end of the process, ``kill -9`` included. What a failure of the machine
itself may take (power, kernel) is bounded by the last flush: every ``FLUSH_EVERY`` points of a collection,
and on ``close``.

The engine keeps the interpreter lock while it works (0.9.0, measured): calls from several threads are safe,
run one after another, and stop every other thread of the process meanwhile, the event loop's included.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from uuid import UUID

import qdrant_edge as edge

from encoders.errors import StoreError
from exporters.disk_room import require_room, taken
from exporters.named_locks import NamedLocks
from exporters.qdrant_conditions import AtLeast, Conditions
from exporters.qdrant_edge_folder import is_shard, remove_unfinished, shard_folder, take_folder
from exporters.qdrant_edge_types import (
    INDEX_TYPES,
    below,
    edge_config,
    edge_filter,
    edge_point,
    point_of,
    uuid_of,
)
from exporters.qdrant_engine import Hit
from exporters.qdrant_points import Layout, Point
from exporters.vector_store import Vector

# Without a flush the log grows for ever (2 kB a user written); a flush takes about 20 ms.
FLUSH_EVERY = 10_000
LIMIT_STEP = 32


class EdgeEngine:
    """The ``Engine`` in this process: one shard, one folder for each collection, opened at first use."""

    shared = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = RLock()
        self._shards: dict[str, edge.EdgeShard] = {}
        self._layouts: dict[str, Layout] = {}
        self._unflushed: Counter[str] = Counter()
        self._unindexed: set[str] = set()
        self._writing = NamedLocks()
        self._lock_file: int | None = take_folder(path)
        remove_unfinished(path)

    def __repr__(self) -> str:
        return f"EdgeEngine({str(self._path)!r})"

    def ensure(self, collection: str, layout: Layout) -> None:
        """Create or open the collection, and refuse it where it holds vectors of other names or sizes.

        To create one takes room for as much as the largest has, so that a new version's items do not take
        it from those at work. Raises ``StoreUnavailable`` on a full disk.
        """
        with self._writing[collection], self._lock, translated(f"the layout of collection {collection}"):
            made = not is_shard(self.folder(collection))
            self._open_matching(collection, layout)
            self._layouts[collection] = layout
            self._unindexed.add(collection)
            if not made:
                self._index(collection)

    def exists(self, collection: str) -> bool:
        """Whether the collection is there."""
        return collection in self._shards or is_shard(shard_folder(self._path, collection))

    def upsert_newer(self, collection: str, batch: Sequence[Point], version_key: str) -> None:
        """Write each point where it is absent or has a lower ``version_key``; logged when it returns."""
        require_room(self._path)
        with self._writing[collection]:
            shard = self._shard(collection)
            with translated(f"a write to {collection}"):
                self._index(collection)
                for point in batch:
                    shard.update(
                        edge.UpdateOperation.upsert_points(
                            [edge_point(point)], condition=below(version_key, point.payload[version_key])
                        )
                    )
            self._flush_sometimes(collection, len(batch))

    def replace_vectors(self, collection: str, name: str, ids: Sequence[UUID], vectors: Vector) -> None:
        """Write vectors [n, d] of points that are there; logged when it returns, flushed by ``flush``."""
        require_room(self._path)
        with self._writing[collection], translated(f"a write to {collection}"):
            replaced = [edge.PointVectors(id_, {name: one}) for id_, one in zip(ids, vectors.tolist())]
            self._shard(collection).update(edge.UpdateOperation.update_vectors(replaced))

    def retrieve(
        self, collection: str, ids: Sequence[UUID], vectors: Sequence[str], keys: Sequence[str] | None
    ) -> list[Point]:
        """The points that exist, in any order."""
        shard = self._shard(collection)
        with translated(f"a read of {collection}"):
            found = shard.retrieve(list(ids), True if keys is None else list(keys), list(vectors) or False)
            return [point_of(record) for record in found]

    def nearest(
        self,
        collection: str,
        vector: str,
        queries: Vector,
        limits: Sequence[int],
        where: AtLeast,
        filters: Sequence[Conditions],
    ) -> list[list[Hit]]:
        """Ids and scores of the nearest points, by an exact scan as long as nobody optimizes the shard."""
        shard = self._shard(collection)
        wanted = {more: edge_filter((where, *more)) for more in set(filters)}
        with translated(f"a search in {collection}"):
            requests = [
                edge.QueryRequest(
                    # Requests that ask for equally many share a scan; a few more hits cost nothing.
                    limit=-(-limit // LIMIT_STEP) * LIMIT_STEP,
                    query=edge.Query.Nearest(query, using=vector),
                    filter=wanted[more],
                    with_payload=False,
                )
                for query, limit, more in zip(queries.tolist(), limits, filters, strict=True)
            ]
            found = shard.query_batch(edge.QueryBatchRequest(requests))
            return [
                [(uuid_of(hit.id).int, hit.score) for hit in hits[:limit]]
                for hits, limit in zip(found, limits, strict=True)
            ]

    def scroll(
        self, collection: str, where: Conditions, vectors: Sequence[str], start: UUID | None, limit: int
    ) -> tuple[list[Point], UUID | None]:
        """One page from ``start`` on, and where the next one starts."""
        shard = self._shard(collection)
        with translated(f"a read of {collection}"):
            records, following = shard.scroll(
                edge.ScrollRequest(
                    offset=start,
                    limit=limit,
                    filter=edge_filter(where) if where else None,
                    with_payload=True,
                    with_vector=list(vectors) or False,
                )
            )
            return [point_of(record) for record in records], None if following is None else uuid_of(following)

    def count(self, collection: str) -> int:
        """The exact number of points."""
        shard = self._shard(collection)
        with translated(f"a count of {collection}"):
            return int(shard.count(edge.CountRequest(exact=True)))

    def writing(self, collection: str) -> RLock:
        """Held by whoever writes to the collection."""
        return self._writing[collection]

    def folder(self, collection: str) -> Path:
        """Where the collection is kept."""
        return shard_folder(self._path, collection)

    def flush(self, collection: str) -> None:
        """Put onto the disk what was written."""
        with translated(f"a flush of {collection}"):
            self._shard(collection).flush()

    def exchange(self, collection: str, change: Callable[[Path], None]) -> None:
        """Close a collection, let ``change`` have its folder, and open, or make, what is there then.

        The collection must have been ensured; its layout stays.
        """
        with self._writing[collection], self._lock, translated(f"another folder of {collection}"):
            self._open_or_raise()
            opened = self._shards.pop(collection, None)
            if opened is not None:
                opened.close()
            change(self.folder(collection))
            self.ensure(collection, self._layouts[collection])

    def ping(self) -> None:
        """Return as long as the store is open."""
        self._open_or_raise()

    def close(self) -> None:
        """Flush and close every collection and let go of the folder; a second call does nothing."""
        with self._lock:
            try:
                self._close_shards()
            finally:
                if self._lock_file is not None:
                    os.close(self._lock_file)
                    self._lock_file = None

    def _close_shards(self) -> None:
        shards, self._shards = self._shards, {}
        for collection, shard in shards.items():
            with translated(f"to close {collection}"):
                shard.flush()
                shard.close()

    def _open_or_raise(self) -> None:
        if self._lock_file is None:
            raise StoreError(f"the vector store in {self._path} is closed: open it again")

    def _shard(self, collection: str) -> edge.EdgeShard:
        """The open shard of a collection that exists; opened here where another run made it."""
        shard = self._shards.get(collection)
        if shard is not None:
            return shard
        with self._lock:
            self._open_or_raise()
            if collection not in self._shards:
                folder = shard_folder(self._path, collection)
                if not is_shard(folder):
                    raise StoreError(
                        f"there is no collection {collection} in {self._path}: start a worker first"
                    )
                require_room(self._path)
                with translated(f"to open {folder}"):
                    self._shards[collection] = edge.EdgeShard.load(str(folder))
            return self._shards[collection]

    def _open_matching(self, collection: str, layout: Layout) -> None:
        """Open it with ``layout``, or make it: only at opening does the engine compare names and sizes."""
        self._open_or_raise()
        known, opened = self._layouts.get(collection), self._shards.get(collection)
        if opened and known and (known.sizes, known.sparse) == (layout.sizes, layout.sparse):
            return
        folder = self.folder(collection)
        require_room(self._path, 0 if is_shard(folder) else self._largest())
        opened = self._shards.pop(collection, None)
        self._layouts.pop(collection, None)
        if opened is not None:
            opened.close()
        make = edge.EdgeShard.load if is_shard(folder) else edge.EdgeShard.create
        self._shards[collection] = make(str(folder), edge_config(layout))

    def _index(self, collection: str) -> None:
        """Make the payload indexes that are missing.

        A new collection gets them with its first points, unless it becomes a copy of one that has them: each
        stops this process for as long as the disk takes.
        """
        if collection in self._unindexed:
            shard = self._shards[collection]
            present = shard.info().payload_schema
            for key, index in self._layouts[collection].indexes.items():
                if key not in present:
                    shard.update(edge.UpdateOperation.create_field_index(key, INDEX_TYPES[index]))
            self._unindexed.discard(collection)

    def _largest(self) -> int:
        """Bytes that the largest collection takes on the disk."""
        return max((taken(one) for one in self._path.iterdir() if is_shard(one)), default=0)

    def _flush_sometimes(self, collection: str, written: int) -> None:
        """Flush the collection alone: everything in this process stands still meanwhile."""
        with self._lock:
            self._unflushed[collection] += written
            if self._unflushed[collection] < FLUSH_EVERY:
                return
            self._unflushed[collection] = 0
            with translated(f"a flush of {collection}"):
                self._shards[collection].flush()


@contextmanager
def translated(what: str) -> Iterator[None]:
    """The engine raises bare ``Exception`` and, for values of a wrong type, ``TypeError`` and its kin."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreError(f"the Qdrant engine refused {what}: {first_line}") from error
