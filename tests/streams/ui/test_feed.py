"""The topics as the page follows them, on a broker: what is read, and what an outage looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from encoders.errors import BrokerUnavailable
from streams.kafka.demo_broker import DemoBroker
from streams.kafka.producer import EventProducer
from streams.kafka.reader import read
from streams.kafka.topics import ensure_topics
from streams.settings import KafkaSettings
from streams.ui.feed import Feed
from streams.ui.sender import Sender
from tests.kafka_fixtures import MakeSettings
from tests.support.shop import wait_for

pytestmark = pytest.mark.timeout(120)
Taken = list[tuple[str, bytes | None, bytes | None]]


@pytest.fixture
def follow() -> Iterator[Callable[[KafkaSettings], tuple[Feed, Taken]]]:
    """Start feeds, which end with the test."""
    feeds = []

    def start(settings: KafkaSettings) -> tuple[Feed, Taken]:
        taken: Taken = []
        feed = Feed(settings, lambda *message: taken.append(message))
        feeds.append(feed)
        feed.start()
        return feed, taken

    yield start
    for feed in feeds:
        feed.stop()


def send(settings: KafkaSettings, *messages: tuple[str, bytes, bytes]) -> None:
    with EventProducer(settings) as producer:
        for message in messages:
            producer.send(*message)


def test_items_and_recent_events_are_read_from_the_past_and_lists_from_now_on(
    demo_settings: MakeSettings, follow: Callable[[KafkaSettings], tuple[Feed, Taken]]
) -> None:
    settings = demo_settings()
    ensure_topics(settings)
    send(settings, ("items", b"pot", b"1"), ("clicks", b"ann", b"2"), ("recommendations", b"ann", b"old"))
    feed, taken = follow(settings)
    wait_for(lambda: feed.state == "live" and len(taken) >= 2)
    send(settings, ("recommendations", b"ann", b"new"))
    wait_for(lambda: len(taken) >= 3)
    assert sorted(taken) == [
        ("clicks", b"ann", b"2", ()),
        ("items", b"pot", b"1", ()),
        ("recommendations", b"ann", b"new", ()),
    ]


def test_a_broker_that_dies_is_noticed(follow: Callable[[KafkaSettings], tuple[Feed, Taken]]) -> None:
    with DemoBroker() as broker:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        ensure_topics(settings)
        feed, _ = follow(settings)
        wait_for(lambda: feed.state == "live")
    wait_for(lambda: feed.state == "down")
    assert "freshet broker --kafka" in feed.fault


def test_missing_topics_are_waited_for(
    demo_settings: MakeSettings, follow: Callable[[KafkaSettings], tuple[Feed, Taken]]
) -> None:
    settings = demo_settings()
    feed, _ = follow(settings)
    wait_for(lambda: feed.state == "down")
    assert "freshet worker" in feed.fault
    ensure_topics(settings)
    wait_for(lambda: feed.state == "live")


async def test_what_is_sent_lies_on_its_topic(demo_settings: MakeSettings) -> None:
    settings = demo_settings()
    sender = Sender(settings)
    sent = [
        await sender.send("ann", "pot", "purchase", 19.5),
        await sender.send("ann", "pot", "dislike", None),
    ]
    await sender.close()
    (bought,), (disliked,) = read(settings, "purchases"), read(settings, "clicks")
    assert [one.key for one in (bought, disliked)] == [b"ann", b"ann"]
    assert sent[0].encode() in (bought.value or b"")
    assert b'"event_type":"dislike"' in (disliked.value or b"")


async def test_a_sender_without_a_broker_says_so() -> None:
    sender = Sender(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(BrokerUnavailable, match="freshet broker"):
        await sender.send("ann", "pot", "click", None)
    await sender.close()
