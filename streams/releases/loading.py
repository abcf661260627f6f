"""From a release's location to a generation that could serve: fetched, verified, its items filled; blocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

from encoders.errors import ModelError, ReleaseRefused, StoreError
from exporters.metrics import Metrics
from exporters.model_fetch import fetch_model
from exporters.vector_store import CollectionNames, VectorStore
from streams.catalog_replica import REFRESH_OVERLAP_MS
from streams.generation import Generation
from streams.messages import ModelAt
from streams.releases.filling import fill_items, verify_items

OpenGeneration = Callable[[Path], Generation]
"""From a version's folder to a generation with an empty replica."""
WORK_SHARE = 0.5
"""Share of the time that loading beside a worker takes: events come first."""


class Loading:
    """One version on its way; it gives up soon after ``abandoned`` is set, since a newer release has come."""

    def __init__(
        self,
        store: VectorStore,
        at: ModelAt,
        metrics: Metrics,
        abandoned: Event | None = None,
        work_share: float = 1.0,
    ) -> None:
        self._store = store
        self._at = at
        self._metrics = metrics
        self._rest = (1 - work_share) / work_share
        self._abandoned = abandoned or Event()

    def open(self, cache: Path, open_generation: OpenGeneration, text_tower: str) -> Generation:
        """Fetch, verify and load the model, and make its collections.

        Raises ``ReleaseRefused``: as ``fetch_model``, ``manifest`` (another version), ``text_tower`` (other
        than the running one), ``graph`` (a graph or what it computes), or ``store``.
        """
        at = self._at
        fetched = fetch_model(at.uri, cache, at.digest)
        self._look(0.0)
        if fetched.manifest.version != at.version:
            raise ReleaseRefused("manifest", f"{at.uri} is {fetched.manifest.version}, not {at.version}")
        if fetched.manifest.text_digest != text_tower:
            raise ReleaseRefused(
                "text_tower",
                f"{at.version} encodes texts otherwise than the model at work: no item could be taken over;"
                " start workers on it with an empty store instead",
            )
        try:
            generation = open_generation(fetched.folder)
        except ReleaseRefused:
            raise
        except ModelError as error:
            raise ReleaseRefused("graph", str(error)) from error
        except StoreError as error:
            raise ReleaseRefused("store", str(error)) from error
        self._look(0.0)
        return generation

    def fill(self, source: CollectionNames, generation: Generation) -> None:
        """Fill and verify the generation's items from another version's, and read its replica.

        Raises ``ReleaseRefused`` (``store``).
        """
        try:
            self._fill(source, generation)
            generation.replica.catch_up()
        except StoreError as error:
            raise ReleaseRefused("store", f"the items of {self._at.version}: {error}") from error

    def _fill(self, source: CollectionNames, generation: Generation) -> None:
        since_ms = 0
        # Twice: what came meanwhile from workers that do not know of this version is few the second time.
        for _ in range(2):
            began_ms = time.time_ns() // 1_000_000
            written = fill_items(self._store, source, generation, self._look, since_ms)
            self._metrics.filled_items.inc(written)
            since_ms = max(0, began_ms - REFRESH_OVERLAP_MS)
        verify_items(self._store, source, generation)

    def _look(self, seconds: float) -> None:
        if self._abandoned.wait(seconds * self._rest):
            raise ReleaseRefused("superseded", f"{self._at.version}: a newer release has come")
