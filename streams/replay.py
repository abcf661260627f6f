"""Send a public data set through the topics in time order, paced by a clock or by the worker's commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec

from encoders.datasets import Dataset
from encoders.errors import BrokerUnavailable
from encoders.events import Interaction
from streams.codec import encode_interaction, encode_item
from streams.kafka.group import GroupPosition
from streams.kafka.producer import EventProducer
from streams.settings import KafkaSettings

LOOK_SECONDS = 0.2
EVENT_TOPICS = ("clicks", "purchases")
OUTPUT_TOPICS = ("recommendations", "dead-letters")

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total)."""


class ReplayReport(msgspec.Struct, frozen=True):
    """What a replay came to; ``events + sum(skipped.values()) == lines`` where a line is an interaction."""

    dataset: str
    items: int
    events: int
    lines: int
    skipped: dict[str, int]
    recommendations: int
    dead_letters: int
    seconds: float
    events_per_second: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast: ``speed`` seconds of the data's time in one second; ``None``: as fast as the worker acks.

    ``window`` bounds the events that are sent and not committed; ``patience_seconds`` is how long no commit
    may come before the replay gives up.
    """

    speed: float | None = None
    window: int = 5_000
    patience_seconds: float = 120.0


def replay(
    dataset: Dataset, settings: KafkaSettings, pace: Pace, *, limit: int | None = None, progress: Progress
) -> ReplayReport:
    """Send the catalogue, wait until the worker has it, send the events, wait until they are committed.

    Raises ``BrokerUnavailable`` where Kafka, or the worker behind it, does not go on.
    """
    with EventProducer(settings) as producer, GroupPosition(settings) as group:
        before = {topic: group.ends(topic) for topic in OUTPUT_TOPICS}
        began = time.monotonic()
        _send_catalogue(dataset, producer, group, pace, progress)
        sent = _send_events(dataset, producer, group, pace, limit, progress)
        seconds = time.monotonic() - began
        written = {topic: group.ends(topic) - before[topic] for topic in OUTPUT_TOPICS}
    return ReplayReport(
        dataset=dataset.name,
        items=len(dataset.items),
        events=sent,
        lines=dataset.n_interactions + sum(dataset.skipped.values()),
        skipped=dict(dataset.skipped),
        recommendations=written["recommendations"],
        dead_letters=written["dead-letters"],
        seconds=round(seconds, 3),
        events_per_second=round(sent / seconds, 1),
    )


def _send_catalogue(
    dataset: Dataset, producer: EventProducer, group: GroupPosition, pace: Pace, progress: Progress
) -> None:
    for item in dataset.items:
        producer.send(*encode_item(item))
    producer.flush()
    total = len(dataset.items)
    _await_commits(
        lambda: group.lag("items"), 0, pace, lambda lag: progress("catalogue", max(0, total - lag), total)
    )


def _send_events(
    dataset: Dataset,
    producer: EventProducer,
    group: GroupPosition,
    pace: Pace,
    limit: int | None,
    progress: Progress,
) -> int:
    def lag() -> int:
        return sum(group.lag(topic) for topic in EVENT_TOPICS)

    total = min(limit or dataset.n_interactions, dataset.n_interactions)
    sent = 0
    for event in _paced(islice(dataset.interactions(), limit), pace.speed):
        producer.send(*encode_interaction(event))
        sent += 1
        if pace.speed is None and sent % (pace.window // 2) == 0:
            producer.flush()
            _await_commits(lag, pace.window // 2, pace)
        if sent % 100 == 0:
            progress("events", sent, total)
    producer.flush()
    _await_commits(lag, 0, pace, lambda behind: progress("events", max(0, sent - behind), sent))
    return sent


def _paced(events: Iterator[Interaction], speed: float | None) -> Iterator[Interaction]:
    """The events, each at its time: (event time - first event time) / speed after the start."""
    if speed is None:
        yield from events
        return
    began, first_ms = time.monotonic(), None
    for event in events:
        first_ms = event.timestamp_ms if first_ms is None else first_ms
        due = began + (event.timestamp_ms - first_ms) / 1000 / speed
        time.sleep(max(0.0, due - time.monotonic()))
        yield event


def _await_commits(
    lag: Callable[[], int], enough: int, pace: Pace, look: Callable[[int], None] = lambda behind: None
) -> None:
    """Wait until at most ``enough`` messages are uncommitted; look at the commits every ``LOOK_SECONDS``."""
    least, moved = None, time.monotonic()
    while (behind := lag()) > enough:
        look(behind)
        if least is None or behind < least:
            least, moved = behind, time.monotonic()
        if time.monotonic() - moved > pace.patience_seconds:
            raise BrokerUnavailable(
                f"{behind} messages are not processed and nothing moved for {pace.patience_seconds:.0f} s:"
                " is `freshet worker` running, with the same group and topic prefix?"
            )
        time.sleep(LOOK_SECONDS)
    look(behind)
