"""From a release's location to a generation that could serve: fetched, verified, its items filled; blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event

from encoders.errors import ModelError, ReleaseRefused, StoreError
from exporters.metrics import Metrics
from exporters.model_fetch import fetch_model
from exporters.vector_store import CollectionNames, VectorStore
from streams.catalog_replica import overlap_ms, wall_clock_ms
from streams.generation import Generation
from streams.messages import ModelAt
from streams.releases.filling import fill_items, verify_items

OpenGeneration = Callable[[Path], Generation]
"""From a version's folder to a generation with an empty replica."""


class Pace:
    """How much of its time loading may work beside a worker, and whether it is still wanted."""

    def __init__(self, work_share: float = 1.0, abandoned: Event | None = None) -> None:
        """``work_share``: above 0, at most 1; ``abandoned`` is set where a newer release has come."""
        self._rest = (1 - work_share) / work_share
        self._abandoned = abandoned or Event()

    def look(self, seconds: float = 0.0) -> None:
        """Rest after ``seconds`` of work; raises ``ReleaseRefused`` (``superseded``) where abandoned.

        By the clock, not by CPU: who had to wait for the interpreter was in the way of those who had it, and
        rests the longer.
        """
        if self._abandoned.wait(seconds * self._rest):
            raise ReleaseRefused("superseded", "a newer release has come")


def open_released(
    at: ModelAt, cache: Path, open_generation: OpenGeneration, text_tower: str | None, pace: Pace
) -> Generation:
    """Fetch, verify and load a model, and make its collections; ``text_tower``: of what runs, if anything.

    Raises ``ReleaseRefused``: as ``fetch_model``, ``manifest`` (another version), ``text_tower`` (other than
    the running one), ``graph`` (a graph, or what it computes), or ``store``.
    """
    fetched = fetch_model(at.uri, cache, at.digest)
    pace.look()
    if fetched.manifest.version != at.version:
        raise ReleaseRefused("manifest", f"{at.uri} is {fetched.manifest.version}, not {at.version}")
    if text_tower not in (None, fetched.manifest.text_digest):
        raise ReleaseRefused(
            "text_tower",
            f"{at.version} encodes texts otherwise than the model at work: no item could be taken over;"
            " start workers on it with an empty store instead",
        )
    try:
        return open_generation(fetched.folder)
    except ModelError as error:
        raise ReleaseRefused("graph", str(error)) from error
    except StoreError as error:
        raise ReleaseRefused("store", str(error)) from error


def fill(
    store: VectorStore,
    source: CollectionNames,
    generation: Generation,
    metrics: Metrics,
    pace: Pace,
    since_ms: int = 0,
) -> None:
    """Fill and verify a generation's items from another version's; its replica has them all, and no evidence.

    Of items that were received before ``since_ms`` it is known that they are there. Raises
    ``ReleaseRefused`` (``store``, ``superseded``).
    """
    recent_ms = max(0, wall_clock_ms() - overlap_ms(store))
    try:
        unread_ms = since_ms if store.count_items(generation.names) else recent_ms
        metrics.filled_items.inc(fill_items(store, source, generation, pace.look, since_ms))
        if store.shared:
            # Again: what came meanwhile from workers that do not know of this version.
            metrics.filled_items.inc(fill_items(store, source, generation, pace.look, recent_ms))
        _read_items(generation, unread_ms, store.count_items(generation.names))
        verify_items(store, source, generation)
        generation.recommender.prepare()
    except StoreError as error:
        raise ReleaseRefused("store", f"the items of {generation.version}: {error}") from error


def _read_items(generation: Generation, since_ms: int, stored: int) -> None:
    """What others wrote since then, or all of it where they wrote more."""
    replica = generation.replica
    replica.read_items(since_ms)
    if len(replica) < stored:
        replica.read_items(0)
    if len(replica) < stored:
        raise ReleaseRefused("store", f"read {len(replica)} of {stored} items")


def complete(
    store: VectorStore, earlier: Iterable[CollectionNames], generation: Generation, metrics: Metrics
) -> None:
    """At the start of a worker: fill what one that ended in the middle has left undone.

    From the first of the ``earlier`` versions that there is. Raises as :func:`fill` does.
    """
    for source in earlier:
        if source != generation.names and store.has_users(source):
            if store.count_items(generation.names) < store.count_items(source):
                fill(store, source, generation, metrics, Pace())
            return
