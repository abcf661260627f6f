"""The items of a version that takes over: their vectors from the text vectors that are stored already."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import numpy as np

from encoders.errors import ReleaseRefused
from exporters.vector_store import CollectionNames, ItemRecord, VectorStore
from streams.generation import Generation

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Items of one write: what a batch of events may have to wait for."""
SAMPLE = 64
TOLERANCE = 2e-3

Look = Callable[[float], None]
"""Called after every write with the CPU seconds that it took: may wait, or raise to give up."""


def fill_items(
    store: VectorStore, source: CollectionNames, generation: Generation, look: Look, since_ms: int = 0
) -> int:
    """Give ``generation`` the items of ``source`` received since ``since_ms``; counts those written; blocks.

    A newer message of an item wins, whoever wrote it; what is there already is left alone. Raises
    ``StoreUnavailable`` or ``StoreError``.
    """
    written = 0
    for page in store.scroll_items(source, since_ms, with_text=True):
        for start in range(0, len(page), AT_ONCE):
            began = time.thread_time()
            missing = _missing(store, generation, page[start : start + AT_ONCE])
            if missing:
                store.upsert_items(generation.names, generation.encoded(missing))
            written += len(missing)
            look(time.thread_time() - began)
    return written


def _missing(store: VectorStore, generation: Generation, records: Sequence[ItemRecord]) -> list[ItemRecord]:
    found = store.retrieve_items(generation.names, [one.item_id for one in records])
    return [
        record
        for record, here in zip(records, found, strict=True)
        if here is None or here.source_offset < record.source_offset
    ]


def verify_items(store: VectorStore, source: CollectionNames, generation: Generation) -> None:
    """Raise ``ReleaseRefused`` unless every item is there, and a sample has the vectors of the model."""
    wanted, there = store.count_items(source), store.count_items(generation.names)
    if there < wanted:
        raise ReleaseRefused("store", f"{generation.names.items} holds {there} of {wanted} items")
    sample = next(iter(store.scroll_items(generation.names, with_text=True)), [])[:SAMPLE]
    for record, fresh in zip(sample, generation.encoded(sample), strict=True):
        if not np.allclose(record.vector, fresh.vector, rtol=0, atol=TOLERANCE):
            raise ReleaseRefused(
                "store", f"{generation.names.items} holds vectors of another model: delete the collection"
            )
