"""``freshet send`` gives messages their keys, and sends none that a worker would refuse."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import DataError
from encoders.events import EventType
from streams.cli import cli
from streams.cli.send import keyed
from streams.codec import Limits, Rejected, decode_interaction
from streams.kafka.reader import read
from streams.kafka.topics import ensure_topics
from streams.settings import KafkaSettings
from tests.kafka_fixtures import MakeSettings

NOW_MS = 1_795_000_000_000
CLICK = {"event_id": "e1", "user_id": "ann", "item_id": "tent", "timestamp": NOW_MS}
LIMITS = Limits()


@pytest.fixture
def settings(demo_settings: MakeSettings) -> KafkaSettings:
    made = demo_settings()
    ensure_topics(made)
    return made


def send(settings: KafkaSettings, topic: str, text: str) -> Result:
    environment = {
        "FRESHET_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "FRESHET_KAFKA__TOPIC_PREFIX": settings.topic_prefix,
    }
    return CliRunner().invoke(cli, ["send", topic], input=text, env=environment)


def test_a_line_is_sent_unchanged_under_its_key(settings: KafkaSettings) -> None:
    line = json.dumps(CLICK | {"more": "than is read"})
    result = send(settings, "clicks", f"{line}\r\n\n")
    assert result.exit_code == 0, result.output
    (record,) = read(settings, "clicks")
    assert (record.key, record.value) == (b"ann", line.encode())


def test_the_first_line_that_would_be_refused_ends_it_and_is_named(settings: KafkaSettings) -> None:
    lines = [json.dumps(CLICK), "", "{", json.dumps(CLICK)]
    result = send(settings, "clicks", "\n".join(lines))
    assert isinstance(result.exception, DataError)
    assert str(result.exception).startswith("line 3: malformed_json")
    assert len(list(read(settings, "clicks"))) == 1


def test_the_key_of_an_item_is_its_own() -> None:
    assert (
        keyed("items", b'{"item_id": "tent", "title": "Tent", "user_id": "ann"}', LIMITS, NOW_MS) == b"tent"
    )


def test_seconds_for_milliseconds_are_refused() -> None:
    value = json.dumps(CLICK | {"timestamp": NOW_MS // 1000}).encode()
    with pytest.raises(DataError, match="timestamp_past"):
        keyed("clicks", value, LIMITS, NOW_MS)


def test_more_than_a_worker_reads_is_refused_unparsed() -> None:
    with pytest.raises(DataError, match="too_large"):
        keyed("clicks", b"[" * 100, Limits(max_value_bytes=99), NOW_MS)


@given(user=st.text(max_size=300), value=st.binary(max_size=60))
def test_what_gets_a_key_is_read_by_a_worker(user: str, value: bytes) -> None:
    for candidate in (json.dumps(CLICK | {"user_id": user}).encode(), value):
        try:
            key = keyed("clicks", candidate, LIMITS, NOW_MS)
        except DataError:
            continue
        assert not isinstance(decode_interaction(EventType.CLICK, key, candidate, NOW_MS, LIMITS), Rejected)
