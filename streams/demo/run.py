"""The demo: a broker and a worker in processes of their own; shop, scoring and screen in this one.

One loop does everything in turn: send what is due, take in what was recommended, now and then ask the worker
for its counts, show. It measures what a shop would see: from its own producer to its own consumer.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
from kafka import KafkaConsumer

from encoders.events import Item
from streams.demo.catalogue import make_catalogue
from streams.demo.feed import Message, messages
from streams.demo.preparation import Prepared, fill_store, prepare, timed
from streams.demo.report import DemoReport
from streams.demo.screen import ScreenState, Stage
from streams.demo.shoppers import Shop
from streams.demo.terminal import Terminal
from streams.demo.tracker import Tracker
from streams.demo.worker_process import WorkerProcess
from streams.kafka.connection import connect
from streams.kafka.demo_broker import DemoBroker
from streams.kafka.processes import stop_signals
from streams.kafka.producer import EventProducer
from streams.messages import ItemMessage, Recommendation
from streams.settings import KafkaSettings

COUNT_SECONDS = 0.5
SHOW_SECONDS = 0.1
POLL_MS = 5
FETCH_WAIT_MS = 20
"""The demo broker may answer a fetch only after this wait, even when messages have come in between."""
PATIENCE_SECONDS = 30.0
"""How long the end may pass without any event being accounted for before the demo gives up on the rest."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says; ``events`` None goes on until Ctrl-C, ``rate`` is events a second."""

    work: Path
    events: int | None
    rate: float
    users: int
    items: int
    seed: int


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
            "starting the worker",
            "sending the catalogue",
        )
        self._stages = [Stage(name) for name in names]
        self._state = ScreenState(stages=self._stages)
        self._tracker = Tracker(self._items, self._state)
        self._began = time.monotonic()
        self._next_count = self._next_show = 0.0

    def run(self, stack: ExitStack) -> DemoReport:
        """Start the parts, which end with ``stack``, send, wait for what is still under way, and report."""
        exporting, encoding, *_ = self._stages
        self._options.work.mkdir(parents=True, exist_ok=True)
        prepared = prepare(self._options.work, self._items, exporting, encoding, self._show)
        self._state.model_version = prepared.model.version
        self._start(stack, prepared)
        self._began = time.monotonic()
        with stop_signals() as self._stopped:
            self._send_events()
            self._finish()
        return self._tracker.report(prepared.model.version, time.monotonic() - self._began)

    def _start(self, stack: ExitStack, prepared: Prepared) -> None:
        *_, broker_stage, worker_stage, catalogue_stage = self._stages
        with timed(broker_stage, self._show):
            self._broker = stack.enter_context(DemoBroker())
        kafka = KafkaSettings(bootstrap_servers=self._broker.bootstrap_servers)
        with timed(worker_stage, self._show):
            store = Path(tempfile.mkdtemp(prefix="store-", dir=self._options.work))
            stack.callback(shutil.rmtree, store, ignore_errors=True)
            fill_store(store, prepared, self._items)
            log_file = self._options.work / "worker.log"
            worker = WorkerProcess(kafka.bootstrap_servers, prepared.model_path, store, log_file)
            self._worker = stack.enter_context(worker)
        self._producer = stack.enter_context(closing(EventProducer(kafka)))
        consumer = connect(
            KafkaConsumer, kafka, group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=FETCH_WAIT_MS
        )
        self._consumer = stack.enter_context(closing(consumer))
        self._consumer.subscribe(["recommendations"])
        with timed(catalogue_stage, self._show):
            self._send_catalogue(self._items, catalogue_stage)

    def _send_catalogue(self, items: Sequence[Item], stage: Stage) -> None:
        stage.total = len(items)
        for item in items:
            self._producer.send("items", item.item_id.encode(), _item_message(item))
        self._producer.flush()
        while (stored := self._worker.items_stored()) < len(items):
            stage.done = stored
            self._show()
            time.sleep(SHOW_SECONDS)

    def _send_events(self) -> None:
        shop = Shop(self._options.seed, self._items, self._options.users)
        feed = islice(messages(shop.events(), self._options.seed), self._options.events)
        for message in self._paced(feed):
            self._tracker.sent(message, time.monotonic())
            self._producer.send(message.topic, message.key, message.value)

    def _paced(self, feed: Iterator[Message]) -> Iterator[Message]:
        """The feed at the asked-for rate; between messages the rest of the work is done."""
        for number, message in enumerate(feed):
            due = self._began + number / self._options.rate
            while time.monotonic() < due and not self._stopped.is_set():
                self._turn()
            if self._stopped.is_set():
                return
            yield message

    def _turn(self) -> None:
        """Take in what has arrived; count and show when it is time."""
        self._receive()
        now = time.monotonic()
        if now >= self._next_count:
            self._next_count = now + COUNT_SECONDS
            self._broker.check()
            self._tracker.accounted(self._worker.outcomes())
        if now >= self._next_show:
            self._next_show = now + SHOW_SECONDS
            self._tracker.tick(now, now - self._began)
            self._show()

    def _receive(self) -> None:
        batches = self._consumer.poll(timeout_ms=POLL_MS)
        now = time.monotonic()
        for records in batches.values():
            for record in records:
                self._tracker.received(_recommendation.decode(record.value), now)

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
        return self._state.recommendations >= self._worker.recommendations()

    def _show(self) -> None:
        self._state.elapsed_seconds = time.monotonic() - self._began
        self._terminal.show(self._state)


_recommendation = msgspec.json.Decoder(Recommendation)


def _item_message(item: Item) -> bytes:
    return msgspec.json.encode(
        ItemMessage(
            item_id=item.item_id,
            title=item.title,
            description=item.description,
            categories=list(item.categories),
            price=item.price,
            available=item.available,
        )
    )
