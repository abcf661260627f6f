"""``freshet bench swap``: what a swap and a rollback cost while events come, and that no event suffers.

A worker on its own broker and store serves a version; events come at a steady rate, each timed from its
producer to a consumer of its recommendation. In the middle a second version is released, later the first one
again. At the end every user's history is read from the store and held against what was sent.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from encoders.errors import FreshetError
from exporters.model_fetch import fetch_model
from exporters.model_manifest import MANIFEST
from exporters.model_store import load_model, point_latest
from exporters.qdrant_edge import EdgeVectorStore
from exporters.vector_store import CollectionNames, VectorSizes
from streams.bench.bars import Bar, Bars
from streams.bench.broker import Kind, open_broker
from streams.bench.catalogue import make_model, preload
from streams.bench.events import MEAN_GAP_MS, Event, make_events
from streams.bench.freshness import Sent, freshness
from streams.bench.samples import peak_rss_mb
from streams.bench.swap_figures import Moments, SwapFigures, freshness_of
from streams.bench.tail import Tail
from streams.bench.worker import MeasuredWorker
from streams.generation import sizes_of
from streams.kafka.producer import EventProducer
from streams.kafka.topics import ensure_topics
from streams.messages import ModelAt, ModelRelease
from streams.releases.topic import publish
from streams.settings import KafkaSettings
from streams.user_versions import read_users

PATIENCE_SECONDS = 120.0
BACKLOG = 6_000
"""Events that are sent at once: how fast they are taken is the worker's capacity."""
MOST_SHARE = 0.85
"""Of that capacity, at most, is sent steadily: beyond it, queues grow without any swap."""
READ_AT_ONCE = 500
SECOND = "20260102-00000002"
"""The version that takes over: the same model under another name, so that both cost the same."""


@dataclass(frozen=True, slots=True)
class SwapOptions:
    """What the command line says; ``rate`` is events a second, ``phase_seconds`` before, between, after."""

    items: int = 20_000
    users: int = 50_000
    rate: float = 500.0
    phase_seconds: float = 20.0
    model: Path | None = None
    broker: Kind = "auto"
    seed: int = 0


def run_swap(options: SwapOptions) -> SwapFigures:
    """Run it all, clean up, and return the figures.

    Raises ``FreshetError`` where a part cannot start or dies, or where a version does not take over.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="freshet-bench-")))
        return _Run(options, scratch, stack).figures()


class _Run:
    """One run; what it starts ends with ``stack``, in the opposite order."""

    def __init__(self, options: SwapOptions, scratch: Path, stack: ExitStack) -> None:
        self._options, self._scratch = options, scratch
        self._bars = stack.enter_context(Bars())
        self._first, self._second = self._make_versions()
        events = BACKLOG + round(options.rate * options.phase_seconds * 30)
        self._broker, address = stack.enter_context(open_broker(options.broker, scratch / "kafka", events))
        self._kafka = KafkaSettings(bootstrap_servers=address)
        ensure_topics(self._kafka)
        self._producer = stack.enter_context(EventProducer(self._kafka))
        self._tail = stack.enter_context(Tail(self._kafka))
        self._worker = MeasuredWorker(address, scratch / "models", scratch, store="store")
        start_ms = time.time_ns() // 1_000_000 - events * MEAN_GAP_MS
        self._events = make_events(
            events, items=options.items, users=options.users, seed=options.seed, start_ms=start_ms
        )
        self._rate = options.rate
        self._sent: list[Sent] = []

    def figures(self) -> SwapFigures:
        """Do everything in turn."""
        options = self._options
        with self._bars.stage("storing the catalogue", options.items) as bar:
            model = load_model(self._scratch / "models" / self._first.version)
            preload(self._scratch / "store", model, options.items, options.seed, bar.advance)
        with self._worker:
            capacity = self._take_backlog()
            self._rate = min(options.rate, MOST_SHARE * capacity)
            steady = time.monotonic()
            self._phase("events before")
            memory = {"before": peak_rss_mb(self._worker.pid)}
            swap = self._change("swap", self._second, self._first)
            parts = self._worker.swap_parts()
            self._phase("events after the swap")
            memory["with_both"] = peak_rss_mb(self._worker.pid)
            moments = Moments(steady, *swap, *self._change("rollback", self._first, self._second))
            self._phase("events after the rollback")
            self._settle("the rest")
            reencoded, filled = self._worker.counted("freshet_reencoded_users_total"), parts.pop("items")
        lost, twice = self._compared(sizes_of(model))
        taken = freshness(self._sent, self._tail.arrived)
        sent = [one for one in self._sent if one.at >= steady]
        rate = (len(sent) - 1) / (sent[-1].at - steady)
        timed = [(one.at, taken[one.event_id]) for one in sent if one.event_id in taken]
        return SwapFigures(
            events=len(self._sent),
            events_lost=lost,
            events_applied_twice=twice,
            rate=round(rate, 1),
            rate_wanted=options.rate,
            capacity=round(capacity, 1),
            share_of_capacity=round(rate / capacity, 2),
            **freshness_of(timed, moments)._asdict(),
            swap_seconds=round(moments.served - moments.released, 2),
            rollback_seconds=round(moments.back - moments.rolled_back, 2),
            parts_seconds={name: round(value, 3) for name, value in parts.items()},
            items_filled=int(filled),
            users_reencoded=int(reencoded),
            memory_mb=memory,
            items=options.items,
            users=options.users,
            broker=self._broker,
            seed=options.seed,
        )

    def _make_versions(self) -> tuple[ModelAt, ModelAt]:
        """Two versions in ``models``; the first is what the worker starts with."""
        options, models = self._options, self._scratch / "models"
        with self._bars.stage("making a model"):
            made = options.model or make_model(models, options.items, options.seed)
            if options.model is not None:
                shutil.copytree(made, models / made.name)
            second = models / SECOND
            shutil.copytree(made, second)
            manifest = json.loads((second / MANIFEST).read_bytes())
            (second / MANIFEST).write_text(json.dumps(manifest | {"version": SECOND}))
            point_latest(models, made.name)
        return self._at(models / made.name), self._at(second)

    def _at(self, folder: Path) -> ModelAt:
        fetched = fetch_model(str(folder), self._scratch / "fetched")
        self._name = fetched.manifest.name
        return ModelAt(version=fetched.manifest.version, uri=fetched.uri, digest=fetched.digest)

    def _take_backlog(self) -> float:
        """Events a second that the worker takes as fast as it can."""
        now = time.monotonic()
        for _ in range(BACKLOG):
            self._send(now)
        self._settle("a backlog, for the capacity")
        return BACKLOG / (time.monotonic() - now)

    def _phase(self, name: str) -> None:
        """Events at the rate for a phase."""
        count = round(self._rate * self._options.phase_seconds)
        with self._bars.stage(name, count) as bar:
            began = time.monotonic()
            for number in range(count):
                self._send(began + number / self._rate, bar)

    def _change(self, name: str, to: ModelAt, before: ModelAt) -> tuple[float, float]:
        """Release a version, send on until its first list comes; when was it released, when did that come."""

        def change(current: ModelRelease | None) -> ModelRelease:
            return ModelRelease(
                model=self._name, number=1, champion=to, lineage=[before.version], released_at=0
            )

        self._producer.flush()
        publish(self._kafka, self._name, change)
        released, place, number = time.monotonic(), len(self._tail.arrived), 0
        with self._bars.stage(name, 1):
            while True:
                self._send(released + number / self._rate)
                number += 1
                self._tail.check()
                new = self._tail.arrived[place:]
                place += len(new)
                for one in new:
                    if one.version == to.version:
                        return released, one.at
                if time.monotonic() - released > PATIENCE_SECONDS:
                    raise FreshetError(
                        f"{to.version} does not serve {PATIENCE_SECONDS:.0f} s after its release: see the log"
                    )

    def _send(self, at: float, bar: Bar | None = None) -> None:
        event: Event = next(self._events)
        time.sleep(max(0.0, at - time.monotonic()))
        self._sent.append(Sent(event.user_id, event.event_id, time.monotonic()))
        self._producer.send(event.topic, event.user_id.encode(), event.value)
        if bar is not None:
            bar.advance(1)

    def _settle(self, name: str) -> None:
        """Wait until every event was applied and every recommendation has come back."""
        self._producer.flush()
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._bars.stage(name):
            while (
                self._worker.outcomes()["applied"] < len(self._sent)
                or len(self._tail.arrived) < self._worker.recommendations()
            ) and time.monotonic() < deadline:
                time.sleep(0.25)

    def _compared(self, sizes: VectorSizes) -> tuple[int, int]:
        """Events that no history holds, and events that one holds twice."""
        wanted = Counter(one.user_id for one in self._sent)
        users = sorted(wanted)
        names = [CollectionNames.of(one.version) for one in (self._first, self._second)]
        lost = twice = 0
        with closing(EdgeVectorStore(self._scratch / "store")) as store:
            for start in range(0, len(users), READ_AT_ONCE):
                part = users[start : start + READ_AT_ONCE]
                for user in read_users(store, names[0], sizes, names[1:], part):
                    difference = user.history.applied - wanted[user.user_id]
                    lost, twice = lost + max(0, -difference), twice + max(0, difference)
        return lost, twice
