"""The topics: made as they must be, checked, and every fault told with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner

from encoders.errors import BrokerError
from streams.cli.topics import topics as command
from streams.kafka.connection import open_admin
from streams.kafka.topics import TOPICS, TopicState, ensure_topics, faults, read_topics
from streams.settings import KafkaSettings

MakeSettings = Callable[..., KafkaSettings]
SETTINGS = KafkaSettings()


def sound() -> dict[str, TopicState]:
    return {name: TopicState(name, 4, 1, config) for name, config in TOPICS.items()}


def faults_with(name: str, **changes: object) -> list[str]:
    states = sound()
    states[name] = replace(states[name], **changes)  # type: ignore[arg-type]
    return faults(list(states.values()), SETTINGS)


def test_topics_as_freshet_makes_them_have_no_fault() -> None:
    assert faults(list(sound().values()), SETTINGS) == []


def test_a_broker_that_tells_no_configuration_is_no_fault() -> None:
    assert faults([replace(state, config={}) for state in sound().values()], SETTINGS) == []


def test_missing_topics_are_named_with_their_prefix() -> None:
    (fault,) = faults([], KafkaSettings(topic_prefix="shop."))
    assert "shop.items, shop.clicks" in fault
    assert "freshet topics create" in fault


def test_unequal_partitions_are_told() -> None:
    (fault,) = faults_with("purchases", partitions=6)
    assert fault.startswith("clicks has 4 partitions and purchases 6: they must be equal")


@pytest.mark.parametrize(
    ("topic", "policy", "wanted"),
    [
        ("items", "delete", "compact"),
        ("items", "compact,delete", "compact"),
        ("clicks", "compact", "delete"),
        ("purchases", "compact", "delete"),
    ],
)
def test_a_policy_that_loses_data_is_told(topic: str, policy: str, wanted: str) -> None:
    (fault,) = faults_with(topic, config=TOPICS[topic] | {"cleanup.policy": policy})
    assert fault.startswith(f"{topic} has cleanup.policy={policy}: set it to {wanted}")


def test_too_few_replicas_are_told() -> None:
    found = faults(list(sound().values()), KafkaSettings(replication_factor=3))
    assert len(found) == len(TOPICS)
    assert found[0].startswith("items has 1 replicas and FRESHET_KAFKA__REPLICATION_FACTOR asks for 3")


def test_dead_letters_must_hold_what_the_inputs_can() -> None:
    (fault,) = faults_with("dead-letters", config={"max.message.bytes": "1000"})
    assert fault.startswith("dead-letters takes messages of 1000 bytes")


@pytest.mark.kafka
def test_missing_topics_are_made_with_their_policy_and_partitions(kafka_settings: MakeSettings) -> None:
    settings = kafka_settings(partitions=3)
    made = {state.name.removeprefix(settings.topic_prefix): state for state in ensure_topics(settings)}
    assert list(made) == list(TOPICS)
    assert {state.partitions for state in made.values()} == {3}
    assert {name: state.config["cleanup.policy"] for name, state in made.items()} == {
        name: config["cleanup.policy"] for name, config in TOPICS.items()
    }


@pytest.mark.kafka
def test_ensuring_twice_changes_nothing(kafka_settings: MakeSettings) -> None:
    settings = kafka_settings()
    before = ensure_topics(settings)
    assert ensure_topics(settings.model_copy(update={"partitions": 7})) == before


@pytest.mark.kafka
def test_topics_are_only_checked_where_making_is_off(kafka_settings: MakeSettings) -> None:
    settings = kafka_settings(create_topics=False)
    with pytest.raises(BrokerError, match="topics are missing"):
        ensure_topics(settings)
    assert read_topics(settings) == []


@pytest.mark.kafka
def test_topics_made_wrongly_by_others_are_refused(kafka_settings: MakeSettings) -> None:
    settings = kafka_settings()
    with open_admin(settings) as admin:
        name = f"{settings.topic_prefix}purchases"
        admin.create_topics({name: {"num_partitions": 2, "replication_factor": 1}}, wait_for_metadata=True)
    with pytest.raises(BrokerError, match=r"clicks has 4 partitions and .*purchases 2: they must be equal"):
        ensure_topics(settings)


@pytest.mark.kafka
def test_more_replicas_than_brokers_is_told_in_kafka_s_words(kafka_settings: MakeSettings) -> None:
    with pytest.raises(BrokerError, match=r"cannot create the topic .*: .*replication"):
        ensure_topics(kafka_settings(replication_factor=3))


@pytest.mark.kafka
def test_the_command_checks_and_reports_as_json(
    kafka_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = kafka_settings()
    monkeypatch.setenv("FRESHET_KAFKA__BOOTSTRAP_SERVERS", settings.bootstrap_servers)
    monkeypatch.setenv("FRESHET_KAFKA__TOPIC_PREFIX", settings.topic_prefix)
    before = CliRunner().invoke(command, ["check", "--json"])
    assert isinstance(before.exception, BrokerError)
    created = CliRunner().invoke(command, ["create", "--json"])
    after = CliRunner().invoke(command, ["check", "--json"])
    assert json.loads(after.output) == json.loads(created.output)
    assert json.loads(after.output)["faults"] == []


def test_the_demo_broker_makes_topics_when_asked_for_them(demo_settings: MakeSettings) -> None:
    assert [state.partitions for state in ensure_topics(demo_settings())] == [4] * len(TOPICS)
