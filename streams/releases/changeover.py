"""A worker obeys the releases: what is released is loaded beside the model at work, then takes its place.

The change itself happens between two batches, under the locks of all pipelines. Whatever is wrong with a
release, the model at work keeps serving.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from encoders.errors import ReleaseRefused, StoreError
from exporters.vector_store import CollectionNames
from streams.catalog_replica import REFRESH_OVERLAP_MS
from streams.challenger import Challenger
from streams.generation import Generation
from streams.messages import ModelAt, ModelRelease
from streams.releases.loading import OpenGeneration, Pace, fill, open_released
from streams.serving import Serving

log = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
WORK_SHARE = 0.25
"""Of its time, that giving items their vectors works beside a worker: events come first."""
KEPT_SECONDS = 3_600.0
"""How long the champion before stays in memory: who rolls back does so soon."""
PASSING = ("unreadable", "store")
"""Reasons that may be gone when the release is tried again."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What a changeover works on; ``locks`` in the order of taking, that of the events last."""

    serving: Serving
    locks: Sequence[asyncio.Lock]
    forget: Callable[[Sequence[str]], None]
    """Drops what is in memory of the evidence on items that the new model does not have."""
    cache: Path
    open_generation: OpenGeneration
    prefix: str = ""
    """Of the collections' names."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """The champion before: it has every item received before ``since_ms``; in memory ``until`` then."""

    generation: Generation
    since_ms: int
    until: float


class Changeover:
    """The releases of one worker; ``number`` is that of the release that serves, 0 before the first."""

    def __init__(self, worker: Worker, latest: Callable[[], ModelRelease | None], number: int = 0) -> None:
        """``latest`` tells what is released now; ``number`` is what serves already."""
        self._worker = worker
        self._latest = latest
        self.number = self._tried = number
        self._retry_at = float("inf")
        self._abandoned = Event()
        self._task: asyncio.Task[None] | None = None
        self._kept: _Kept | None = None

    async def look(self) -> None:
        """Begin to obey what is released, if that is new; what is being loaded then is abandoned.

        Called once a second. Raises ``StoreUnavailable`` or ``StoreError``.
        """
        if self._kept is not None and time.monotonic() > self._kept.until:
            self._kept = None
        release = self._latest()
        if release is None:
            return
        await asyncio.to_thread(find_users, self._worker.serving, release, self._worker.prefix)
        again = self._idle and time.monotonic() > self._retry_at
        if release.number > self._tried or (again and release.number > self.number):
            await self.stop()
            self._task = asyncio.create_task(self.obey(release))

    async def stop(self) -> None:
        """Abandon what is being loaded, and wait until it is given up."""
        if self._task is not None:
            self._abandoned.set()
            await self._task

    @property
    def _idle(self) -> bool:
        return self._task is None or self._task.done()

    async def obey(self, release: ModelRelease) -> None:
        """Load what is released and let it take over; where it is refused, say why and change nothing."""
        serving, began = self._worker.serving, time.monotonic()
        self._tried, self._retry_at, self._abandoned = release.number, float("inf"), Event()
        try:
            champion = await self._champion(release)
            challenger = await self._challenger(release, champion)
            loaded = time.monotonic()
            if self._abandoned.is_set():
                raise ReleaseRefused("superseded", "a newer release has come")
            await self._change(release, champion, challenger)
        except (ReleaseRefused, StoreError) as error:
            self._refuse(release, error.reason if isinstance(error, ReleaseRefused) else "store", error)
            return
        except Exception as error:
            log.exception("release %d", release.number)
            self._refuse(release, "fault", error)
            return
        finally:
            serving.coming = ()
        serving.metrics.swap_seconds.labels("change").set(time.monotonic() - loaded)
        seconds = time.monotonic() - began
        log.info("release %d: %s serves, after %.1f s", release.number, champion.version, seconds)

    async def _champion(self, release: ModelRelease) -> Generation:
        at, kept = release.champion, self._kept
        found = self._at_work(at)
        if found is not None:
            return found
        if kept is not None and _is(kept.generation, at):
            return await self._filled(kept.generation, kept.since_ms)
        return await self._load(at)

    async def _challenger(self, release: ModelRelease, champion: Generation) -> Challenger | None:
        at = release.challenger
        if at is None or release.mode == "none":
            return None
        if at.version == champion.version:
            raise ReleaseRefused("challenger", f"{at.version} is to challenge itself")
        generation = self._at_work(at) or await self._load(at)
        return Challenger(generation, release.mode, release.canary_share)

    def _at_work(self, at: ModelAt) -> Generation | None:
        """What is meant, where it is champion or challenger already; refuses another model of its name."""
        serving = self._worker.serving
        working = [serving.generation, *([serving.challenger.generation] if serving.challenger else [])]
        for generation in working:
            if _is(generation, at):
                return generation
        if any(generation.version == at.version for generation in working):
            raise ReleaseRefused("digest", f"{at.version} is at work, and its manifest is another one")
        return None

    async def _load(self, at: ModelAt) -> Generation:
        """In a thread of its own: those of the pipelines stay free."""
        worker, serving = self._worker, self._worker.serving
        began = time.monotonic()
        pace, tower = Pace(WORK_SHARE, self._abandoned), serving.generation.text_tower
        generation = await asyncio.to_thread(
            open_released, at, worker.cache, worker.open_generation, tower, pace
        )
        serving.metrics.swap_seconds.labels("open").set(time.monotonic() - began)
        return await self._filled(generation)

    async def _filled(self, generation: Generation, since_ms: int = 0) -> Generation:
        """With all items; those received before ``since_ms`` are there."""
        serving, began = self._worker.serving, time.monotonic()
        pace = Pace(WORK_SHARE, self._abandoned)
        # From now on it hears of every item: what is filled meanwhile never overwrites what is newer.
        async with self._between_batches():
            serving.coming = (*serving.coming, generation)
        await asyncio.to_thread(
            fill, serving.store, serving.names, generation, serving.metrics, pace, since_ms
        )
        serving.metrics.swap_seconds.labels("fill").set(time.monotonic() - began)
        return generation

    async def _change(
        self, release: ModelRelease, champion: Generation, challenger: Challenger | None
    ) -> None:
        worker, serving, before = self._worker, self._worker.serving, self._worker.serving.generation
        async with self._between_batches():
            if challenger is not None and challenger.generation is not before:
                await serving.in_thread(challenger.generation.replica.take_over, before.replica)
            if champion is not before:
                lost = await serving.in_thread(champion.replica.take_over, before.replica)
                serving.versions = tuple(dict.fromkeys((champion.names, before.names, *serving.versions)))
                serving.generation = champion
                worker.forget(lost)
                since_ms = max(0, serving.clock_ms() - REFRESH_OVERLAP_MS)
                self._kept = _Kept(before, since_ms, time.monotonic() + KEPT_SECONDS)
            serving.challenger = challenger
            self.number = release.number
        tell(serving, self.number)

    @asynccontextmanager
    async def _between_batches(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for lock in self._worker.locks:
                await stack.enter_async_context(lock)
            yield

    def _refuse(self, release: ModelRelease, reason: str, error: Exception) -> None:
        serving = self._worker.serving
        serving.metrics.release_refusals.labels(reason).inc()
        version = serving.generation.version
        log.error("release %d refused (%s), %s serves on: %s", release.number, reason, version, error)
        if reason in PASSING:
            self._retry_at = time.monotonic() + RETRY_SECONDS


def _is(generation: Generation, at: ModelAt) -> bool:
    return (generation.version, generation.digest) == (at.version, at.digest)


def find_users(serving: Serving, release: ModelRelease, prefix: str) -> None:
    """Note under which versions users may have been stored last; blocks."""
    named = [CollectionNames.of(one, prefix) for one in (release.champion.version, *release.lineage)]
    new = [one for one in named if one not in serving.versions and serving.store.has_users(one)]
    if new:
        serving.versions = (*serving.versions, *new)


def tell(serving: Serving, number: int) -> None:
    """Put what serves into the metrics."""
    metrics = serving.metrics
    metrics.release.set(number)
    metrics.known_items.set(len(serving.replica))
    metrics.model.clear()
    metrics.model.labels(serving.model.version, serving.model.dim, "champion").set(1)
    if serving.challenger is not None:
        other = serving.challenger.generation
        metrics.model.labels(other.version, other.model.dim, serving.challenger.mode).set(1)
