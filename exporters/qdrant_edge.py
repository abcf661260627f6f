"""The vector store in this process: Freshet's records on the engine in ``qdrant_edge_engine``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import numpy as np

from encoders.exact_search import LARGEST_SCAN
from exporters import qdrant_points as points
from exporters.exact_scan import MirroredEngine
from exporters.qdrant_edge_engine import EdgeEngine, translated
from exporters.qdrant_edge_folder import copy_folder, filling_folder, layout_in, sync_folder
from exporters.qdrant_points import Point
from exporters.qdrant_store import QdrantVectorStore
from exporters.vector_store import CollectionNames, ItemRecord, Vector

# Read, encoded and written at a time: whoever else writes to the collection waits so long.
FILLED_POINTS = 100


class EdgeVectorStore(QdrantVectorStore):
    """The ``VectorStore`` on the folder ``path``, which is made where missing.

    Collections of up to ``largest_scan`` vectors are searched in memory (``exact_scan``), larger ones in the
    engine.
    """

    def __init__(self, path: Path, largest_scan: int = LARGEST_SCAN) -> None:
        self._edge = EdgeEngine(path)
        self._mirrored = MirroredEngine(self._edge, largest_scan)
        super().__init__(self._mirrored)

    def copy_items(
        self,
        source: CollectionNames,
        target: CollectionNames,
        encode: Callable[[Vector], Vector],
        updated_since_ms: int = 0,
    ) -> Iterator[list[ItemRecord]]:
        """As the port says; an empty collection begins as a copy of the other one's folder.

        A point that is written anew costs the engine twenty times what one of its vectors does.
        """
        filling = Filling(self._edge, source.items, target.items)
        if updated_since_ms or not filling.begin():
            yield from super().copy_items(source, target, encode, updated_since_ms)
            return
        try:
            for page in filling.pages(encode):
                self._remember(page)
                yield [points.item_record(point) for point in page]
            filling.finish()
        finally:
            filling.abandon()
            self._mirrored.forget(target.items)


class Filling:
    """A collection of items that begins as a copy of another one's folder, and gets item vectors of its own.

    As long as that is not finished, a folder beside the collection says so; whoever opens the store then
    removes both.
    """

    def __init__(self, engine: EdgeEngine, source: str, target: str) -> None:
        self._engine = engine
        self._source, self._target = source, target
        self._beside = filling_folder(engine.folder(target))

    def begin(self) -> bool:
        """Copy; ``False`` where there is nothing to copy, something to lose, or vectors of other sizes.

        Whoever writes items to either collection waits. Raises ``StoreError``.
        """
        engine, copied = self._engine, self._beside / "copied"
        with (
            engine.writing(self._target),
            engine.writing(self._source),
            translated(f"a copy of {self._source}"),
        ):
            self.abandon()  # what an attempt before could not
            if not engine.count(self._target) == 0 < engine.count(self._source) or not self._alike():
                return False
            engine.flush(self._source)
            try:
                copy_folder(engine.folder(self._source), copied)
                engine.exchange(self._target, lambda folder: _replace(folder, copied))
            except Exception:
                self.abandon()
                raise
        return True

    def pages(self, encode: Callable[[Vector], Vector]) -> Iterator[list[Point]]:
        """Give every item the vector that ``encode`` makes of its text, a page at a time; those items."""
        engine, target = self._engine, self._target
        start: UUID | None = None
        while True:
            # An item that changed since it was read would get the vector of the text that it had.
            with engine.writing(target):
                page, start = engine.scroll(target, (), ("text",), start, FILLED_POINTS)
                vectors = encode(np.stack([point.vectors["text"] for point in page]))
                engine.replace_vectors(target, "item", [point.id for point in page], vectors)
            yield [
                Point(point.id, point.payload, {"item": one})
                for point, one in zip(page, vectors, strict=True)
            ]
            if start is None:
                return

    def finish(self) -> None:
        """All items have their vectors. Raises ``StoreError``."""
        with translated(f"a flush of {self._target}"):
            sync_folder(self._engine.folder(self._target))
            self._engine.flush(self._target)
            shutil.rmtree(self._beside)

    def abandon(self) -> None:
        """Empty the collection, unless it is finished: all that is in it is in the other one, too."""
        if self._beside.exists():
            self._engine.exchange(self._target, _remove)
            _remove(self._beside)

    def _alike(self) -> bool:
        source, target = (self._engine.folder(one) for one in (self._source, self._target))
        return layout_in(source) == layout_in(target)


def _replace(folder: Path, by: Path) -> None:
    _remove(folder)
    by.rename(folder)


def _remove(folder: Path) -> None:
    """Where there is one."""
    shutil.rmtree(folder, ignore_errors=True)
