"""The demo: broker, worker and trainer in processes of their own; shop, scoring and screen in this one.

One loop does everything in turn: send what is due, take in what was recommended, now and then ask the worker
for its counts, show. It measures what a shop would see: from its own producer to its own consumer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
from kafka import KafkaConsumer

from encoders.events import Item
from streams.codec import encode_item
from streams.demo.catalogue import make_catalogue
from streams.demo.feed import Message, messages
from streams.demo.preparation import Prepared, prepare, run_folder, timed
from streams.demo.processes import (
    Place,
    TrainerProcess,
    UiProcess,
    WorkerProcess,
    drift_gauge,
    items_stored,
    outcomes,
    recommendations,
    served_version,
    training_stage,
)
from streams.demo.report import DemoReport
from streams.demo.screen_state import ScreenState, Stage
from streams.demo.shoppers import Shop
from streams.demo.terminal import Terminal
from streams.demo.tracker import Tracker
from streams.kafka.connection import connect
from streams.kafka.demo_broker import DemoBroker
from streams.kafka.group import GroupPosition
from streams.kafka.processes import stop_signals
from streams.kafka.producer import EventProducer
from streams.messages import ModelRelease, Recommendation, TrainingRequest
from streams.replay import EVENT_TOPICS
from streams.settings import KafkaSettings
from streams.trainer.outcomes import Outcomes

COUNT_SECONDS = 0.5
SHOW_SECONDS = 0.1
POLL_MS = 5
FETCH_WAIT_MS = 20
"""The demo broker may answer a fetch only after this wait, even when messages have come in between."""
PATIENCE_SECONDS = 30.0
"""How long the end may pass without any event being accounted for before the demo gives up on the rest."""
KEPT_BACK = 1_500
"""The last events of a run wait for a training that is under way: what comes of it shall be seen."""
KEPT_BACK_SECONDS = 300.0
"""How long, at most."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says.

    ``events`` None goes on until Ctrl-C, ``rate`` is events a second; after ``shift_after`` events the season
    turns, with None never.
    """

    work: Path
    events: int | None
    rate: float
    users: int
    items: int
    seed: int
    shift_after: int | None = None
    playground: bool = False
    """Whether to serve the page on which a person can be a shopper, too."""


def run_demo(options: DemoOptions, terminal: Terminal) -> DemoReport:
    """Run the demo to its end, or to Ctrl-C; returns its figures, which add up.

    Raises ``FreshetError`` where a part cannot start, dies, or leaves an event unaccounted for.
    """
    with ExitStack() as stack:
        demo = Demo(options, stack.enter_context(terminal))
        report = demo.run(stack)
    report.check()
    return report


class Demo:
    """One run of the demo."""

    def __init__(self, options: DemoOptions, terminal: Terminal) -> None:
        self._options = options
        self._terminal = terminal
        self._items = make_catalogue(options.items, options.seed)
        names = (
            "exporting the text encoder",
            "encoding the catalogue",
            "starting the demo broker",
            "starting worker and trainer",
            "sending the catalogue",
        )
        self._stages = [Stage(name) for name in names]
        self._state = ScreenState(stages=self._stages)
        self._tracker = Tracker(self._items, self._state, options.shift_after)
        self._ui: UiProcess | None = None
        self._began = time.monotonic()
        self._next_count = self._next_show = self._kept_back = 0.0

    def run(self, stack: ExitStack) -> DemoReport:
        """Start the parts, which end with ``stack``, send, wait for what is still under way, and report."""
        exporting, encoding, *_ = self._stages
        self._options.work.mkdir(parents=True, exist_ok=True)
        prepared = prepare(self._options.work, self._items, exporting, encoding, self._show)
        self._state.life.version = prepared.model.version
        self._start(stack, prepared)
        self._began = time.monotonic()
        with stop_signals() as self._stopped:
            self._send_events()
            self._count_visitors()
            self._finish()
        return self._tracker.report(prepared.model.version, time.monotonic() - self._began)

    def _start(self, stack: ExitStack, prepared: Prepared) -> None:
        *_, broker_stage, worker_stage, catalogue_stage = self._stages
        with timed(broker_stage, self._show):
            self._broker = stack.enter_context(DemoBroker())
        self._kafka = kafka = KafkaSettings(bootstrap_servers=self._broker.bootstrap_servers)
        with timed(worker_stage, self._show):
            run = stack.enter_context(run_folder(self._options.work, prepared, self._items))
            place = Place(kafka.bootstrap_servers, run, self._options.work)
            self._outcomes = Outcomes(place.models)
            self._worker = stack.enter_context(WorkerProcess(place, self._options.rate))
            self._trainer = stack.enter_context(TrainerProcess(place))
            self._worker.wait_until("readyz")
            self._trainer.wait_until("metrics")
            if self._options.playground:
                self._ui = stack.enter_context(UiProcess(place, self._worker.port))
        self._producer = stack.enter_context(closing(EventProducer(kafka)))
        consumer = connect(
            KafkaConsumer,
            kafka,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        self._consumer = stack.enter_context(closing(consumer))
        self._consumer.subscribe(["recommendations", "training-requests", "model-releases"])
        with timed(catalogue_stage, self._show):
            self._send_catalogue(self._items, catalogue_stage)
            if self._ui is not None:
                self._ui.wait_until("api/status")
                self._state.playground = self._ui.url

    def _send_catalogue(self, items: Sequence[Item], stage: Stage) -> None:
        stage.total = len(items)
        for item in items:
            self._producer.send(*encode_item(item))
        self._producer.flush()
        while (stored := items_stored(self._worker.metrics())) < len(items):
            stage.done = stored
            self._show()
            time.sleep(SHOW_SECONDS)

    def _send_events(self) -> None:
        options = self._options
        shop = Shop(options.seed, self._items, options.users, shift_after=options.shift_after)
        feed = islice(messages(shop.events(), options.seed), options.events)
        for message in self._paced(feed):
            self._tracker.sent(message, time.monotonic())
            self._producer.send(message.topic, message.key, message.value)

    def _paced(self, feed: Iterator[Message]) -> Iterator[Message]:
        """The feed at the asked-for rate; between messages the rest of the work is done."""
        for number, message in enumerate(feed):
            due = self._began + number / self._options.rate
            self._keep_back(number)
            while time.monotonic() < due + self._kept_back and not self._stopped.is_set():
                self._turn()
            if self._stopped.is_set():
                return
            yield message

    def _keep_back(self, number: int) -> None:
        """Wait before one of the last messages while a training is under way."""
        events = self._options.events
        if events is None or events - number > KEPT_BACK:
            return
        began, left = time.monotonic(), KEPT_BACK_SECONDS - self._kept_back
        while self._state.life.open and not self._stopped.is_set() and time.monotonic() - began < left:
            self._turn()
        self._kept_back += time.monotonic() - began

    def _turn(self) -> None:
        """Take in what has arrived; count and show when it is time."""
        self._receive()
        now = time.monotonic()
        if now >= self._next_count:
            self._next_count = now + COUNT_SECONDS
            self._look()
        if now >= self._next_show:
            self._next_show = now + SHOW_SECONDS
            self._tracker.tick(now, now - self._began)
            self._show()

    def _look(self) -> None:
        """How the other processes are."""
        self._broker.check()
        life, metrics = self._state.life, self._worker.metrics()
        self._tracker.accounted(outcomes(metrics))
        self._tracker.served(served_version(metrics))
        life.measured(drift_gauge(metrics))
        life.at_work(training_stage(self._trainer.metrics()))
        if life.request is not None and life.outcome is None:
            outcome = self._outcomes.find(life.request.request_id)
            if outcome is not None:
                life.concluded(outcome)

    def _receive(self) -> None:
        batches = self._consumer.poll(timeout_ms=POLL_MS)
        now = time.monotonic()
        for partition, records in batches.items():
            for record in records:
                if partition.topic == "recommendations":
                    self._tracker.received(_recommendation.decode(record.value), now)
                elif partition.topic == "training-requests":
                    self._tracker.asked(_request.decode(record.value))
                else:
                    self._state.life.released(_release.decode(record.value))

    def _count_visitors(self) -> None:
        """Visitors of the playground sent events, too: end it, and count all that lies on the topics."""
        if self._ui is not None:
            self._ui.stop()
            self._producer.flush()
            with GroupPosition(self._kafka) as position:
                self._state.events_sent = sum(map(position.ends, EVENT_TOPICS))

    def _finish(self) -> None:
        """Wait until the worker has accounted for every event and every recommendation has arrived."""
        self._producer.flush()
        before, since = -1, time.monotonic()
        while not self._complete():
            self._turn()
            done = self._state.events_applied + self._state.duplicates + self._state.dead_letters
            if done + self._state.recommendations != before:
                before, since = done + self._state.recommendations, time.monotonic()
            if time.monotonic() - since > PATIENCE_SECONDS:
                break
        self._next_show = 0.0
        self._turn()

    def _complete(self) -> bool:
        if not self._tracker.everything_accounted:
            return False
        return self._state.recommendations >= recommendations(self._worker.metrics())

    def _show(self) -> None:
        self._state.elapsed_seconds = time.monotonic() - self._began
        self._terminal.show(self._state)


_recommendation = msgspec.json.Decoder(Recommendation)
_request = msgspec.json.Decoder(TrainingRequest)
_release = msgspec.json.Decoder(ModelRelease)
