"""The items of a version that takes over: their vectors from the text vectors that are stored already."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from encoders.errors import ReleaseRefused
from exporters.vector_store import CollectionNames, VectorStore
from streams.generation import Generation

SAMPLE = 64
TOLERANCE = 2e-3

Look = Callable[[float], None]
"""Called after every page with the seconds that it took: may wait, or raise to give up."""


def fill_items(
    store: VectorStore, source: CollectionNames, generation: Generation, look: Look, since_ms: int = 0
) -> int:
    """Give ``generation`` the items of ``source`` received since ``since_ms``; counts those written; blocks.

    A newer message of an item wins, whoever wrote it; what is there already is left alone. What is written is
    in the replica, too. Raises ``StoreUnavailable`` or ``StoreError``.
    """
    written, began = 0, time.monotonic()
    pages = store.copy_items(source, generation.names, generation.model.item_vectors, since_ms)
    for page in pages:
        generation.replica.add(page)
        written += len(page)
        look(time.monotonic() - began)
        began = time.monotonic()
    return written


def verify_items(store: VectorStore, source: CollectionNames, generation: Generation) -> None:
    """Raise ``ReleaseRefused`` unless every item is there, and a sample has the vectors of the model.

    The replica must be whole.
    """
    wanted, there = store.count_items(source), store.count_items(generation.names)
    if there < wanted:
        raise ReleaseRefused("store", f"{generation.names.items} holds {there} of {wanted} items")
    ids = generation.replica.items.ids
    stored = store.retrieve_items(generation.names, ids[:: max(1, len(ids) // SAMPLE)], with_text=True)
    sample = [one for one in stored if one is not None]
    for record, fresh in zip(sample, generation.encoded(sample), strict=True):
        if not np.allclose(record.vector, fresh.vector, rtol=0, atol=TOLERANCE):
            raise ReleaseRefused(
                "store", f"{generation.names.items} holds vectors of another model: delete the collection"
            )
