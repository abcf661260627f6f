"""Kill workers while they work, on real Kafka, with a store that fails: nothing lost, nothing done twice."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import msgspec
import numpy as np
import pytest

from encoders.config import DAY_SECONDS
from encoders.covisitation import Visit, pairs_of
from encoders.events import EventType, Interaction
from exporters.model_store import load_model
from exporters.qdrant_server import ServerVectorStore
from exporters.vector_store import CollectionNames, UserRecord
from streams.codec import encode_interaction, encode_item
from streams.composition import covisitation_of
from streams.demo.catalogue import make_catalogue
from streams.evidence_state import EvidenceState, unpack_evidence
from streams.fold_types import Step
from streams.interest import run_steps
from streams.kafka.group import GroupPosition
from streams.kafka.local_broker import LocalKafka
from streams.kafka.producer import EventProducer
from streams.kafka.reader import read
from streams.kafka.topics import ensure_topics
from streams.messages import Recommendation
from streams.settings import EvidenceSettings, KafkaSettings
from streams.state import UserState, unpack
from tests.qdrant_http_server.process import qdrant_http_server
from tests.support.workers import RunningWorker

EVENTS, USERS, KILLS = 20_000, 500, 5
START_MS = 1_700_000_000_000
STORE_FAULTS = ("--fault-share", "0.05", "--fault-kind", "lose", "--seed", "5")
"""Every twentieth call does its work and then answers 503: a write may have happened or not."""


def numbered_events() -> list[Interaction]:
    """Events 0 to 19,999: each user's timestamps increase, a tenth are purchases; seeded."""
    chance = random.Random(20)
    items = make_catalogue(200, 7)
    return [
        Interaction(
            user_id=f"user-{chance.randrange(USERS):03d}",
            item_id=chance.choice(items).item_id,
            event_type=EventType.PURCHASE if chance.random() < 0.1 else EventType.CLICK,
            timestamp_ms=START_MS + 60_000 * number,
            event_id=f"event-{number:05d}",
        )
        for number in range(EVENTS)
    ]


@dataclass
class Aftermath:
    """What is left when every event is committed."""

    sent: list[Interaction]
    users: dict[str, UserRecord]
    evidence: dict[str, EvidenceState]
    published: list[Recommendation]
    model_path: Path


@pytest.fixture(scope="module")
def aftermath(
    kafka: LocalKafka, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Aftermath:
    """Two workers, a fresh group, SIGKILL and SIGTERM five times each while 20,000 events flow."""
    folder = tmp_path_factory.mktemp("chaos")
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix="chaos.", group_id="chaos", partitions=4
    )
    ensure_topics(settings)
    events = numbered_events()
    with qdrant_http_server(folder / "vectors", *STORE_FAULTS) as server, EventProducer(settings) as producer:
        for item in make_catalogue(200, 7):
            producer.send(*encode_item(item))
        producer.flush()
        chaos = Chaos(settings, server.url, untrained_model, folder)
        chaos.run(producer, events)
        published = [
            msgspec.json.decode(one.value, type=Recommendation) for one in read(settings, "recommendations")
        ]
        server.behave()
        store = ServerVectorStore(server.url)
        names = CollectionNames.of(load_model(untrained_model).version)
        user_ids = sorted({event.user_id for event in events})
        records = store.retrieve_users(names, user_ids)
        evidence = {
            one.item_id: unpack_evidence(one.blob) for page in store.scroll_evidence(names) for one in page
        }
        store.close()
    users = {record.user_id: record for record in records if record is not None}
    return Aftermath(events, users, evidence, published, untrained_model)


class Chaos:
    """Two workers, one of which dies every few seconds and is started again."""

    def __init__(self, settings: KafkaSettings, store_url: str, model: Path, folder: Path) -> None:
        self._settings = settings
        self._environment = {
            "KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "KAFKA__TOPIC_PREFIX": settings.topic_prefix,
            "KAFKA__GROUP_ID": settings.group_id,
            "KAFKA__SESSION_TIMEOUT_SECONDS": 6,
            "QDRANT__URL": store_url,
            "MODEL__PATH": model,
            # The whole history stays, so that it can be compared event by event.
            "HISTORY__EVENTS": 1000,
            "HISTORY__EVENT_IDS": 1000,
            "BATCH__MAX_EVENTS": 64,
        }
        self._folder = folder
        self._workers = [self._start(0), self._start(1)]

    def run(self, producer: EventProducer, events: list[Interaction]) -> None:
        """Feed the events while workers die, then wait until all of them are committed."""
        # The catalogue first: events that wait for their item are applied later than their successors.
        self._await_commits("items")
        feeder = Thread(target=self._feed, args=(producer, events))
        feeder.start()
        for count in range(2 * KILLS):
            time.sleep(3.0)
            victim = count % 2
            self._workers[victim].stop(signal.SIGKILL if count // 2 % 2 == 0 else signal.SIGTERM)
            self._workers[victim] = self._start(victim)
        feeder.join()
        self._await_commits("clicks", "purchases")
        self._await_commits("evidence")
        for worker in self._workers:
            assert worker.stop() == 0, worker.tail()

    def _start(self, number: int) -> RunningWorker:
        return RunningWorker(self._folder / f"worker-{number}.log", **self._environment)

    def _feed(self, producer: EventProducer, events: list[Interaction]) -> None:
        for number, event in enumerate(events):
            producer.send(*encode_interaction(event))
            if number % 250 == 0:
                producer.flush()
                time.sleep(0.4)
        producer.flush()

    def _await_commits(self, *topics: str, seconds: float = 240.0) -> None:
        deadline = time.monotonic() + seconds
        with GroupPosition(self._settings) as group:
            while any(group.lag(topic) for topic in topics):
                for number, worker in enumerate(self._workers):
                    # A worker that gives up ends loudly; whoever runs it starts it again.
                    if worker.process.poll() is not None:
                        self._workers[number] = self._start(number)
                assert time.monotonic() < deadline, self._workers[0].tail() + self._workers[1].tail()
                time.sleep(0.5)


def by_user(events: list[Interaction]) -> dict[str, list[Interaction]]:
    grouped: dict[str, list[Interaction]] = defaultdict(list)
    for event in events:
        grouped[event.user_id].append(event)
    return grouped


def key_of(item_id: str, event_type: int, timestamp_ms: int) -> tuple[str, int, int]:
    return item_id, int(event_type), timestamp_ms


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_every_event_is_applied_exactly_once_despite_ten_kills(aftermath: Aftermath) -> None:
    for user_id, sent in by_user(aftermath.sent).items():
        history = unpack(aftermath.users[user_id].blob)
        applied = Counter(key_of(one.item_id, one.event_type, one.timestamp_ms) for one in history.events)
        assert applied == Counter(key_of(one.item_id, one.event_type, one.timestamp_ms) for one in sent), (
            user_id
        )
        assert history.applied == len(sent)


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_events_of_one_topic_are_applied_in_their_order(aftermath: Aftermath) -> None:
    for user_id, record in aftermath.users.items():
        for event_type in EventType:
            times = [one.timestamp_ms for one in unpack(record.blob).events if one.event_type == event_type]
            assert times == sorted(times), user_id


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_stored_vectors_equal_a_sequential_oracle(aftermath: Aftermath) -> None:
    model = load_model(aftermath.model_path)
    items = make_catalogue(200, 7)
    found = model.item_vectors(model.encode_texts([item.text for item in items]))
    vectors = {item.item_id: vector for item, vector in zip(items, found, strict=True)}
    for user_id, record in aftermath.users.items():
        oracle = UserState.new(user_id, model.dim, model.state_dim)
        latest = None
        for one in unpack(record.blob).events:
            gap = 0.0 if latest is None else (one.timestamp_ms - latest) / 1000
            latest = one.timestamp_ms if latest is None else max(latest, one.timestamp_ms)
            run_steps(model.step, [oracle], [[Step(one.item_id, EventType(one.event_type), gap)]], vectors)
        np.testing.assert_allclose(record.interest, oracle.interest, atol=1e-4, err_msg=user_id)
        np.testing.assert_allclose(record.state, oracle.state, atol=1e-4, err_msg=user_id)


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_what_is_published_twice_answers_the_same_event(aftermath: Aftermath) -> None:
    """The items may differ: a repeat is made from the evidence of then."""
    facts: dict[tuple[str, str], set[tuple[object, ...]]] = defaultdict(set)
    for one in aftermath.published:
        facts[one.user_id, one.trigger.event_id].add(
            (one.scenario, msgspec.json.encode(one.trigger), one.event_time, one.model_version)
        )
    repeats = len(aftermath.published) - len(facts)
    print(f"{len(aftermath.published)} recommendations, of which {repeats} are repeats")
    assert [key for key, different in facts.items() if len(different) > 1] == []


CONFIG = covisitation_of(EvidenceSettings())


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_every_event_counts_once_towards_the_popularity_of_its_item(aftermath: Aftermath) -> None:
    half_life = EvidenceSettings().popularity_half_life_days * DAY_SECONDS
    counted = {item_id: state.popularity for item_id, state in aftermath.evidence.items()}
    expected: dict[str, float] = defaultdict(float)
    for one in aftermath.sent:
        age = aftermath.evidence[one.item_id].landmark - one.timestamp_ms / 1000
        expected[one.item_id] += CONFIG.strength(one.event_type) * 2.0 ** (-age / half_life)
    assert counted == pytest.approx(expected, rel=1e-3)


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_pairs_add_up_to_what_the_users_histories_say(aftermath: Aftermath) -> None:
    """What is sent before a crash may see clicks and purchases in another order than the replay does, so an
    item's total may be off a little, and the sum over all items less."""
    counted = {item_id: state.total for item_id, state in aftermath.evidence.items()}
    expected = totals_of(aftermath)
    assert sum(counted.values()) == pytest.approx(sum(expected.values()), rel=0.005)
    assert counted == pytest.approx(expected, rel=0.05)


def totals_of(aftermath: Aftermath) -> dict[str, float]:
    """The weight of all pairs that lead to each item, as of the landmark of the item's record."""
    totals: dict[str, float] = defaultdict(float)
    for record in aftermath.users.values():
        history = [
            Visit(one.item_id, one.event_type, one.timestamp_ms / 1000) for one in unpack(record.blob).events
        ]
        for place, new in enumerate(history):
            for _, neighbour, weight in pairs_of(history[:place], new, CONFIG):
                age = aftermath.evidence[neighbour].landmark - new.seconds
                totals[neighbour] += weight * 2.0 ** (-age / CONFIG.age_half_life_seconds)
    return totals


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_every_user_was_told_of_its_last_event(aftermath: Aftermath) -> None:
    triggers: dict[str, set[str]] = defaultdict(set)
    for one in aftermath.published:
        triggers[one.user_id].add(one.trigger.event_id)
    for user_id, record in aftermath.users.items():
        last = unpack(record.blob).last
        assert last is not None
        assert last.event_id in triggers[user_id], user_id
