"""Our Avro schemas say what our structs say, as far as Avro can."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import fastavro
import msgspec
import pytest
from click.testing import CliRunner

from streams.avro_schema import TOPICS, avro_schemas
from streams.cli import cli
from streams.messages import PUBLISHED

JSON_ONLY = {"context", "attributes"}
LEAST: dict[str, dict[str, Any]] = {
    "items": {"item_id": "i", "title": "t"},
    "clicks": {"event_id": "e", "user_id": "u", "item_id": "i", "timestamp": 5},
    "purchases": {"event_id": "e", "user_id": "u", "item_id": "i", "timestamp": 5},
}


@pytest.mark.parametrize("topic", TOPICS)
def test_a_schema_has_the_fields_of_its_struct(topic: str) -> None:
    named = [field["name"] for field in avro_schemas()[topic]["fields"]]
    assert named == [name for name in PUBLISHED[topic].__struct_fields__ if name not in JSON_ONLY]


@pytest.mark.parametrize("topic", LEAST)
def test_what_may_be_left_out_has_the_struct_s_default(topic: str) -> None:
    schema = avro_schemas()[topic]
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), LEAST[topic])
    body.seek(0)
    read = fastavro.schemaless_reader(body, fastavro.parse_schema(schema), None)
    assert msgspec.convert(read, PUBLISHED[topic]) == msgspec.convert(
        LEAST[topic] | {name: read[name] for name in ("timestamp",) if name in read}, PUBLISHED[topic]
    )


def test_the_command_prints_them() -> None:
    result = CliRunner().invoke(cli, ["schema", "--avro"])
    assert json.loads(result.output) == avro_schemas()


def test_two_outputs_at_once_are_refused() -> None:
    result = CliRunner().invoke(cli, ["schema", "--avro", "--asyncapi"])
    assert result.exit_code == 2
    assert "ask for one of them" in result.output
