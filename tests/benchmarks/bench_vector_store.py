"""What the vector store's calls cost; prints one JSON object.

Run it from the repository: ``python tests/benchmarks/bench_vector_store.py`` for the engine in this process
on a temporary folder, with ``--url http://127.0.0.1:6333`` for a server. Figures are microseconds for one
user or query: the median and the smallest over ``--repeats`` batches of 100 by the clock, and the processor
time of this process, which a busy machine blurs less.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from exporters.vector_store import (
    CollectionNames,
    ItemRecord,
    UserRecord,
    Vector,
    VectorSizes,
    VectorStore,
)

BATCH = 100
RECEIVED_MS = 1
NAMES = CollectionNames.of("benchmark", prefix="bench-")
SIZES = VectorSizes(item=128, text=384, state=256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a Qdrant server; without it the engine in this process")
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(options.url, Path(folder))
        print(json.dumps(measure(store, options)))
        store.close()


def open_store(url: str | None, folder: Path) -> VectorStore:
    if url is None:
        from exporters.qdrant_edge import EdgeVectorStore

        return EdgeVectorStore(folder)
    from exporters.qdrant_server import ServerVectorStore

    return ServerVectorStore(url)


def measure(store: VectorStore, options: argparse.Namespace) -> dict[str, object]:
    rng = np.random.default_rng(0)
    store.ensure_collections(NAMES, SIZES)
    fill_items = timed(lambda: store.upsert_items(NAMES, items(rng, options.items)), options.items)
    store.upsert_users(NAMES, users(rng, range(options.users), 1))

    def chosen() -> list[int]:
        return [int(n) for n in rng.choice(options.users, BATCH, replace=False)]

    sequence = iter(range(2, 10**6))
    upserts = [users(rng, chosen(), next(sequence)) for _ in range(options.repeats)]
    reads = [[f"u{n}" for n in chosen()] for _ in range(options.repeats)]
    queries = [unit(rng, BATCH, SIZES.item) for _ in range(options.repeats)]
    limits = [options.limit] * BATCH
    return {
        "store": type(store).__name__,
        "items": options.items,
        "users": options.users,
        "limit": options.limit,
        "upsert_items_us": round(fill_items, 1),
        "upsert_users_us": spread(lambda batch: store.upsert_users(NAMES, batch), upserts, BATCH),
        "retrieve_users_us": spread(lambda ids: store.retrieve_users(NAMES, ids), reads, BATCH),
        "nearest_items_us": spread(lambda batch: store.nearest_items(NAMES, batch, limits), queries, BATCH),
        "nearest_items_single_us": spread(
            lambda batch: store.nearest_items(NAMES, batch[:1], limits[:1]), queries, 1
        ),
        "copy_items_us": copied(store, "copy", options.items),
        "copy_items_since_us": copied(store, "since", options.items, since_ms=RECEIVED_MS),
    }


def copied(store: VectorStore, version: str, size: int, since_ms: int = 0) -> dict[str, float]:
    """All items, under another version: as a swap does it, or those since a time: written singly."""
    names = CollectionNames.of(version, prefix="bench-")
    store.ensure_collections(names, SIZES)
    before = process_time()
    clock = timed(lambda: list(store.copy_items(NAMES, names, halved, since_ms)), size)
    return {"clock": round(clock, 1), "cpu": round((process_time() - before) / size * 1e6, 1)}


def halved(texts: Vector) -> Vector:
    return np.asarray(texts[:, : SIZES.item] / 2, np.float32)


def spread(call: Callable[..., object], batches: Sequence[object], size: int) -> dict[str, float]:
    before = process_time()
    costs = [timed(lambda batch=batch: call(batch), size) for batch in batches]  # type: ignore[misc]
    cpu = (process_time() - before) / size / len(batches) * 1e6
    return {"median": round(float(np.median(costs)), 1), "min": round(min(costs), 1), "cpu": round(cpu, 1)}


def timed(call: Callable[[], object], size: int) -> float:
    start = perf_counter()
    call()
    return (perf_counter() - start) / size * 1e6


def unit(rng: np.random.Generator, *shape: int) -> Vector:
    vectors = rng.standard_normal(shape, dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def items(rng: np.random.Generator, count: int) -> list[ItemRecord]:
    vectors, texts = unit(rng, count, SIZES.item), unit(rng, count, SIZES.text)
    return [
        ItemRecord(
            f"item-{n}",
            vectors[n],
            texts[n],
            f"Title of item {n}",
            ("a", "b"),
            9.9,
            n % 10 != 0,
            "d" * 32,
            n,
            RECEIVED_MS,
        )
        for n in range(count)
    ]


def users(rng: np.random.Generator, numbers: range | list[int], sequence: int) -> list[UserRecord]:
    interests, states = unit(rng, len(numbers), SIZES.item), unit(rng, len(numbers), SIZES.state)
    blob = rng.bytes(600)
    return [
        UserRecord(f"u{n}", interests[row], states[row], blob, sequence, sequence, 0, 1)
        for row, n in enumerate(numbers)
    ]


if __name__ == "__main__":
    main()
