"""The topics that Freshet needs: made where the broker allows it, checked before anything runs on them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError, for_code

from encoders.errors import BrokerError
from streams.kafka.connection import connect, open_admin
from streams.settings import KafkaSettings

MIB = 1024 * 1024
CHECKED = ("cleanup.policy", "max.message.bytes")

# A message carries the time at which the broker took it, so that what is kept depends on no producer's clock:
# with a producer's time, events of last year would be older than the retention when they arrive.
_EVENTS = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}
_INPUT = {"max.message.bytes": str(2 * MIB)}

TOPICS: dict[str, dict[str, str]] = {
    "items": {"cleanup.policy": "compact"} | _INPUT,
    "clicks": _EVENTS | _INPUT,
    "purchases": _EVENTS | _INPUT,
    "recommendations": _EVENTS,
    # Between workers.
    "evidence": _EVENTS,
    "drift-summaries": _EVENTS,
    # Between workers, trainer and whoever releases: few and small.
    "training-requests": _EVENTS,
    "model-releases": {"cleanup.policy": "compact"},
    # Holds whole refused messages and the reasons: more than any input may carry.
    "dead-letters": _EVENTS | {"max.message.bytes": str(3 * MIB)},
}
"""Topic (without prefix) -> its configuration."""


@dataclass(frozen=True)
class TopicState:
    """What a broker says of a topic; ``config`` has the ``CHECKED`` settings, as far as it tells them."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


def ensure_topics(settings: KafkaSettings) -> list[TopicState]:
    """Create what is missing (unless ``create_topics`` is off), then check all; the topics as they are.

    Raises ``BrokerUnavailable`` where nothing answers, ``BrokerError`` with every fault of the topics in one
    line, and ``SettingsError``.
    """
    with open_admin(settings) as admin:
        if settings.create_topics:
            _create_missing(admin, settings)
        states = _read(admin, settings)
    found = faults(states, settings)
    if found:
        raise BrokerError("; ".join(found))
    return states


def read_topics(settings: KafkaSettings) -> list[TopicState]:
    """Freshet's topics as they are on the broker; those that are missing are left out. Raises as above."""
    with open_admin(settings) as admin:
        return _read(admin, settings)


def faults(states: list[TopicState], settings: KafkaSettings) -> list[str]:
    """What is wrong with the topics, a sentence each that says what to do; empty where nothing is."""
    known = {state.name: state for state in states}
    named = {topic: known.get(settings.topic_prefix + topic) for topic in TOPICS}
    missing = [settings.topic_prefix + topic for topic, state in named.items() if state is None]
    if missing:
        return [
            f"topics are missing: {', '.join(missing)}: run `freshet topics create`, or have them created"
        ]
    present = {topic: state for topic, state in named.items() if state is not None}
    return [
        *_unequal_partitions(present["clicks"], present["purchases"]),
        *_wrong_policies(present),
        *_too_few_replicas(states, settings.replication_factor),
        *_small_dead_letters(present),
    ]


def _unequal_partitions(clicks: TopicState, purchases: TopicState) -> list[str]:
    if clicks.partitions == purchases.partitions:
        return []
    return [
        f"{clicks.name} has {clicks.partitions} partitions and {purchases.name} {purchases.partitions}: they"
        " must be equal, so that one worker owns a user: make one of them anew while no worker runs"
    ]


def _wrong_policies(present: Mapping[str, TopicState]) -> list[str]:
    lost = {
        "items": "items would be forgotten",
        "clicks": "events would be lost",
        "purchases": "events would be lost",
    }
    wrong = []
    for topic, loss in lost.items():
        state, wanted = present[topic], TOPICS[topic]["cleanup.policy"]
        policy = state.config.get("cleanup.policy", wanted)
        if policy != wanted:
            wrong.append(f"{state.name} has cleanup.policy={policy}: set it to {wanted}, or {loss}")
    return wrong


def _too_few_replicas(states: list[TopicState], wanted: int) -> list[str]:
    return [
        f"{state.name} has {state.replication_factor} replicas and FRESHET_KAFKA__REPLICATION_FACTOR asks for"
        f" {wanted}: reassign its partitions, or lower the setting"
        for state in states
        if state.replication_factor < wanted
    ]


def _small_dead_letters(present: Mapping[str, TopicState]) -> list[str]:
    dead = present["dead-letters"]
    limits = {topic: int(state.config.get("max.message.bytes", 0)) for topic, state in present.items()}
    largest = max(limits[topic] for topic in ("items", "clicks", "purchases"))
    if not limits["dead-letters"] or limits["dead-letters"] > largest:
        return []
    return [
        f"{dead.name} takes messages of {limits['dead-letters']} bytes and the inputs {largest}: raise its"
        " max.message.bytes above theirs, or a refused message may not fit"
    ]


def _create_missing(admin: KafkaAdminClient, settings: KafkaSettings) -> None:
    existing = set(admin.list_topics())
    missing = {name: topic for topic in TOPICS if (name := settings.topic_prefix + topic) not in existing}
    if not missing:
        return
    if is_demo_broker(admin):
        _ask_for(list(missing), settings)
    else:
        _create(admin, missing, settings)
    admin.wait_for_topics(list(missing))


def _create(admin: KafkaAdminClient, missing: Mapping[str, str], settings: KafkaSettings) -> None:
    wanted = {
        name: {
            "num_partitions": settings.partitions,
            "replication_factor": settings.replication_factor,
            "configs": TOPICS[topic],
        }
        for name, topic in missing.items()
    }
    for answer in admin.create_topics(wanted, raise_errors=False)["topics"]:
        error = for_code(answer["error_code"])
        # Another worker may have been first.
        if answer["error_code"] and error is not TopicAlreadyExistsError:
            reason = answer.get("error_message") or error.__name__
            raise BrokerError(f"cannot create the topic {answer['name']}: {reason}")


def is_demo_broker(admin: KafkaAdminClient) -> bool:
    """librdkafka's mock knows no CreateTopics; its cluster id tells it from a real one."""
    return str(admin.describe_cluster()["cluster_id"]).startswith("mockCluster")


def _ask_for(names: list[str], settings: KafkaSettings) -> None:
    """The demo broker makes a topic, of 4 partitions, when a client asks where it is."""
    with closing(connect(KafkaProducer, settings)) as producer:
        for name in names:
            producer.partitions_for(name)


def _read(admin: KafkaAdminClient, settings: KafkaSettings) -> list[TopicState]:
    names = [settings.topic_prefix + topic for topic in TOPICS]
    described = {topic["name"]: topic for topic in admin.describe_topics(names) if not topic["error_code"]}
    configs = {} if is_demo_broker(admin) else _read_configs(admin, list(described))
    return [
        TopicState(
            name=name,
            partitions=len(described[name]["partitions"]),
            replication_factor=min(len(each["replica_nodes"]) for each in described[name]["partitions"]),
            config=configs.get(name, {}),
        )
        for name in names
        if name in described
    ]


def _read_configs(admin: KafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """The ``CHECKED`` settings of each topic; none of a topic whose settings this user may not read."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(CHECKED)) for name in names]
    if not resources:
        return {}
    answer: dict[str, Any] = admin.describe_configs(resources, config_filter="all").get("topic", {})
    return {
        name: {key: str(entry["value"]) for key, entry in configs.items()} for name, configs in answer.items()
    }
