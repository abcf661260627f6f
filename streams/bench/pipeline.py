"""``freshet bench pipeline``: how fast, how fresh, and at what cost, in one run.

In turn: a broker and its topics; a catalogue stored without encoding a text; a backlog of events; the worker,
timed while it works the backlog off; a paced stream of events, whose recommendations are timed on their way
back; a worker without evidence and ranking on all these events; the empty agent on the same. Figures are
given only where nothing was lost: every event applied, every user who was touched refreshed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from encoders.errors import FreshetError
from encoders.runtime import ServingModel
from exporters.model_store import load_model
from streams.bench.bars import Bar, Bars
from streams.bench.broker import Kind, open_broker
from streams.bench.catalogue import make_model, preload
from streams.bench.empty_agent import EmptyFigures
from streams.bench.events import MEAN_GAP_MS, Event, make_events
from streams.bench.figures import PipelineFigures
from streams.bench.freshness import Arrived, Sent, freshness, percentile_ms
from streams.bench.samples import Cost, Sample, cost, peak_rss_mb, steady
from streams.bench.tail import Tail
from streams.bench.worker import MeasuredWorker, measure_empty_agent
from streams.kafka.producer import EventProducer
from streams.kafka.topics import ensure_topics
from streams.settings import KafkaSettings

SAMPLE_SECONDS = 0.25
PATIENCE_SECONDS = 60.0
"""How long nothing may move before the run is given up."""


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """What the command line says; ``rate`` is events a second. Without a ``model`` one is made."""

    items: int = 20_000
    users: int = 50_000
    events: int = 60_000
    rate: float = 300.0
    rate_seconds: float = 30.0
    model: Path | None = None
    broker: Kind = "auto"
    seed: int = 0

    @property
    def paced_events(self) -> int:
        """Events of the paced part, at least one."""
        return max(1, round(self.rate * self.rate_seconds))

    @property
    def all_events(self) -> int:
        """Events of both parts."""
        return self.events + self.paced_events


@dataclass(slots=True)
class _Measured:
    """What was seen of the worker; ``rate`` is what the paced producer reached."""

    samples: list[Sample]
    sent: list[Sent]
    arrived: list[Arrived]
    """Before another worker publishes its own."""
    rate: float
    rss_mb: float


def run_pipeline(options: PipelineOptions) -> PipelineFigures:
    """Run it all, clean up, and return the figures.

    Raises ``FreshetError`` where a part cannot start or dies, and where an event or a user was lost.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="freshet-bench-")))
        return _Run(options, scratch, stack).figures()


class _Run:
    """One run; what it starts ends with ``stack``, in the opposite order."""

    def __init__(self, options: PipelineOptions, scratch: Path, stack: ExitStack) -> None:
        self._options = options
        self._scratch = scratch
        self._bars = stack.enter_context(Bars())
        self._model_path, self._model = self._find_or_make_model()
        opened = open_broker(options.broker, scratch / "kafka", options.all_events)
        self._broker, address = stack.enter_context(opened)
        kafka = KafkaSettings(bootstrap_servers=address)
        ensure_topics(kafka)
        self._producer = stack.enter_context(EventProducer(kafka))
        self._tail = stack.enter_context(Tail(kafka))
        self._worker = MeasuredWorker(address, self._model_path, scratch, store="store")
        self._nearest = MeasuredWorker(address, self._model_path, scratch, store="nearest", two_stage=False)
        self._backlog, self._paced = self._make_events()

    def figures(self) -> PipelineFigures:
        """Do everything in turn."""
        self._preload("store")
        self._send_backlog()
        with self._worker:
            measured = self._measure()
        nearest = self._measure_nearest()
        with self._bars.stage("empty agent"):
            log_file = self._scratch / "empty-agent.log"
            empty = measure_empty_agent(self._worker.environment, self._options.all_events, log_file)
        return self._summed_up(measured, nearest, empty)

    def _preload(self, folder: str) -> None:
        options = self._options
        with self._bars.stage("storing the catalogue", options.items) as bar:
            preload(self._scratch / folder, self._model, options.items, options.seed, bar.advance)

    def _measure_nearest(self) -> Cost:
        """A worker that recommends the nearest items alone, on all events from the beginning."""
        self._preload("nearest")
        with self._nearest, self._bars.stage("nearest items alone", self._options.all_events) as bar:
            samples, patience = [self._nearest.sample()], _Patience()
            while samples[-1].events < self._options.all_events:
                time.sleep(SAMPLE_SECONDS)
                samples.append(self._nearest.sample())
                patience.look(samples[-1].events, self._options.all_events)
                bar.reach(samples[-1].events)
        return cost(*steady(samples, self._options.events))

    def _find_or_make_model(self) -> tuple[Path, ServingModel]:
        path = self._options.model
        if path is None:
            with self._bars.stage("making a model"):
                path = make_model(self._scratch / "models", self._options.items, self._options.seed)
        return path, load_model(path, threads=1)

    def _make_events(self) -> tuple[list[Event], list[Event]]:
        """Backlog and paced events, one history that ends about now."""
        options = self._options
        start_ms = time.time_ns() // 1_000_000 - options.all_events * MEAN_GAP_MS
        made = make_events(
            options.all_events, items=options.items, users=options.users, seed=options.seed, start_ms=start_ms
        )
        return list(islice(made, options.events)), list(made)

    def _send_backlog(self) -> None:
        with self._bars.stage("sending the backlog", len(self._backlog)) as bar:
            for event in self._backlog:
                self._send(event)
                bar.advance(1)
            self._producer.flush()

    def _send(self, event: Event) -> None:
        self._producer.send(event.topic, event.user_id.encode(), event.value)

    def _measure(self) -> _Measured:
        with self._bars.stage("working off the backlog", len(self._backlog)) as bar:
            samples = self._wait_for(len(self._backlog), bar)
        with self._bars.stage("events at a steady rate", len(self._paced)) as bar:
            sent = self._send_paced(bar)
            self._wait_for(self._options.all_events)
        _check_every_user([*self._backlog, *self._paced], self._tail.arrived)
        rate = (len(sent) - 1) / (sent[-1].at - sent[0].at) if len(sent) > 1 else 0.0
        return _Measured(
            samples, sent, list(self._tail.arrived), round(rate, 1), peak_rss_mb(self._worker.pid)
        )

    def _send_paced(self, bar: Bar) -> list[Sent]:
        sent = []
        began = time.monotonic()
        for number, event in enumerate(self._paced):
            time.sleep(max(0.0, began + number / self._options.rate - time.monotonic()))
            sent.append(Sent(event.user_id, event.event_id, time.monotonic()))
            self._send(event)
            bar.advance(1)
        self._producer.flush()
        return sent

    def _wait_for(self, events: int, bar: Bar | None = None) -> list[Sample]:
        """Sample the worker until it has applied ``events`` and all its recommendations have arrived."""
        samples, patience = [self._worker.sample()], _Patience()
        while samples[-1].events < events or len(self._tail.arrived) < self._worker.recommendations():
            time.sleep(SAMPLE_SECONDS)
            self._tail.check()
            samples.append(self._worker.sample())
            if bar is not None:
                bar.reach(samples[-1].events)
            patience.look(samples[-1].events, events, len(self._tail.arrived))
        return samples

    def _summed_up(self, measured: _Measured, nearest: Cost, empty: EmptyFigures) -> PipelineFigures:
        options = self._options
        worked = cost(*steady(measured.samples, options.events))
        answered = freshness(measured.sent, measured.arrived).values()
        return PipelineFigures(
            events_per_second=worked.events_per_second,
            freshness_p50_ms=percentile_ms(answered, 50),
            freshness_p99_ms=percentile_ms(answered, 99),
            cpu_us_per_event=worked.cpu_us,
            wall_us_per_event=worked.wall_us,
            nearest_only_events_per_second=nearest.events_per_second,
            nearest_only_cpu_us_per_event=nearest.cpu_us,
            added_cpu=round(worked.cpu_us["total"] / nearest.cpu_us["total"] - 1, 3),
            rss_mb=measured.rss_mb,
            empty_agent_events_per_second=empty.events_per_second,
            empty_agent_cpu_us_per_event=empty.cpu_us_per_event,
            ratio_to_empty_agent=round(worked.events_per_second / empty.events_per_second, 4),
            events=options.events,
            paced_events=options.paced_events,
            rate=measured.rate,
            recommendations=len(measured.arrived),
            users_refreshed=len({one.user_id for one in measured.arrived}),
            items=options.items,
            users=options.users,
            broker=self._broker,
            model_version=self._model.version,
            seed=options.seed,
        )


class _Patience:
    """Ends a run in which nothing moves."""

    def __init__(self) -> None:
        self._moved_at, self._progress = time.monotonic(), (0, 0)

    def look(self, applied: int, events: int, arrived: int = 0) -> None:
        """Raises ``FreshetError`` when neither number has changed for ``PATIENCE_SECONDS``."""
        now = (applied, arrived)
        if now != self._progress:
            self._moved_at, self._progress = time.monotonic(), now
        elif time.monotonic() - self._moved_at > PATIENCE_SECONDS:
            raise FreshetError(
                f"{applied} of {events} events were applied, {arrived} recommendations received; nothing"
                f" has moved for {PATIENCE_SECONDS:.0f} s: the run is void"
            )


def _check_every_user(events: Iterable[Event], arrived: Iterable[Arrived]) -> None:
    """Raise ``FreshetError`` unless exactly the users who did something were given a recommendation."""
    touched, refreshed = {one.user_id for one in events}, {one.user_id for one in arrived}
    if touched != refreshed:
        raise FreshetError(
            f"{len(touched - refreshed)} of {len(touched)} users were touched and not refreshed,"
            f" {len(refreshed - touched)} refreshed and not touched: the run is void"
        )
