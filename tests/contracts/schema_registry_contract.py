"""What a schema registry answers, whoever wrote it, to what Freshet asks of it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from encoders.errors import BrokerError
from streams.avro_schema import avro_schema, avro_schemas
from streams.codec import Rejected
from streams.messages import Recommendation
from streams.schema_registry import SchemaRegistry
from streams.settings import CodecSettings

SCHEMA = avro_schema(Recommendation)
CLICK = avro_schemas()["clicks"]


def record(name: str, field: object) -> str:
    """A schema of one field."""
    return json.dumps({"type": "record", "name": name, "fields": [{"name": "f", "type": field}]})


class SchemaRegistryContract:
    """Held against the fake and a real one. Each test has subjects and schemas of its own."""

    @pytest.fixture
    def url(self) -> str:
        """Where the registry is."""
        raise NotImplementedError

    @pytest.fixture
    def registry(self, url: str) -> SchemaRegistry:
        """Freshet's client of it."""
        return SchemaRegistry(CodecSettings.model_validate({"registry_url": url}))

    def add(self, url: str, subject: str, **body: Any) -> int:
        """Register as a producer does that has features which Freshet's client has not."""
        answer = httpx.post(f"{url}/subjects/{subject}/versions", json=body).raise_for_status()
        return int(answer.json()["id"])

    def test_a_schema_is_found_by_the_id_that_its_producer_got(
        self, url: str, registry: SchemaRegistry
    ) -> None:
        found = registry.fetch(self.add(url, "clicks-value", schema=json.dumps(CLICK)))
        assert isinstance(found, str)
        assert json.loads(found) == CLICK

    def test_a_schema_has_one_id_however_often_it_is_registered(self, registry: SchemaRegistry) -> None:
        first = registry.register("a/b-value", SCHEMA)
        assert (registry.register("a/b-value", SCHEMA), registry.find("a/b-value", SCHEMA)) == (first, first)

    @pytest.mark.parametrize("subject", ["known-value", "unknown-value"])
    def test_a_schema_that_nobody_registered_is_not_found(
        self, url: str, registry: SchemaRegistry, subject: str
    ) -> None:
        self.add(url, "known-value", schema=record("Known", "int"))
        with pytest.raises(BrokerError, match=f"does not have the schema of {subject}"):
            registry.find(subject, CLICK)

    def test_an_id_that_is_none_is_refused(self, registry: SchemaRegistry) -> None:
        assert registry.fetch(99_999) == Rejected("unknown_schema", "the registry has no schema 99999")

    def test_what_is_no_schema_is_not_registered(self, registry: SchemaRegistry) -> None:
        with pytest.raises(BrokerError, match="HTTP 422"):
            registry.register("wrong-value", {"type": "nonsense"})

    def test_a_schema_of_another_kind_is_refused(self, url: str, registry: SchemaRegistry) -> None:
        schema = 'syntax = "proto3"; message Click { string item_id = 1; }'
        answer = registry.fetch(self.add(url, "protobuf-value", schemaType="PROTOBUF", schema=schema))
        assert isinstance(answer, Rejected)
        assert "is PROTOBUF, not Avro" in answer.error

    def test_a_schema_that_refers_to_others_is_refused(self, url: str, registry: SchemaRegistry) -> None:
        self.add(url, "part-value", schema=record("Part", "int"))
        references = [{"name": "Part", "subject": "part-value", "version": 1}]
        answer = registry.fetch(
            self.add(url, "whole-value", schema=record("Whole", "Part"), references=references)
        )
        assert isinstance(answer, Rejected)
        assert "refers to others" in answer.error
