"""The published schemas say what the code reads and writes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from streams.messages import (
    DEAD_LETTER_HEADERS,
    PUBLISHED,
    Reason,
    Recommendation,
    RecommendedItem,
    Trigger,
    json_schema,
)

RECOMMENDATION = Recommendation(
    user_id="u1",
    scenario="home",
    items=[
        RecommendedItem("i1", 0.75, Reason("similar_to", "i0")),
        RecommendedItem("i2", -0.5, Reason("trending")),
    ],
    model_version="m1",
    trigger=Trigger("clicks", "e1", "i9"),
    event_time=1_700_000_000_000,
    generated_at=1_700_000_000_123,
)


def definition(name: str) -> dict[str, Any]:
    found = json_schema()["$defs"][name]
    assert isinstance(found, dict)
    return found


def test_a_recommendation_survives_its_encoding() -> None:
    encoded = msgspec.json.encode(RECOMMENDATION)
    assert msgspec.json.decode(encoded, type=Recommendation) == RECOMMENDATION


def test_a_recommendation_is_plain_json() -> None:
    assert json.loads(msgspec.json.encode(RECOMMENDATION)) == {
        "user_id": "u1",
        "scenario": "home",
        "items": [
            {"item_id": "i1", "score": 0.75, "reason": {"kind": "similar_to", "item_id": "i0"}},
            {"item_id": "i2", "score": -0.5, "reason": {"kind": "trending"}},
        ],
        "model_version": "m1",
        "trigger": {"topic": "clicks", "event_id": "e1", "item_id": "i9"},
        "event_time": 1_700_000_000_000,
        "generated_at": 1_700_000_000_123,
    }


def test_schema_is_json() -> None:
    assert json.loads(json.dumps(json_schema())) == json_schema()


@pytest.mark.parametrize("topic", PUBLISHED)
def test_every_topic_refers_to_a_definition(topic: str) -> None:
    reference = json_schema()["topics"][topic]["$ref"]
    assert reference.removeprefix("#/$defs/") in json_schema()["$defs"]


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("ItemMessage", {"item_id", "title"}),
        ("ClickMessage", {"event_id", "user_id", "item_id", "timestamp"}),
        ("PurchaseMessage", {"event_id", "user_id", "item_id", "timestamp"}),
        (
            "Recommendation",
            {"user_id", "scenario", "items", "model_version", "trigger", "event_time", "generated_at"},
        ),
    ],
)
def test_schema_names_the_required_fields(name: str, required: set[str]) -> None:
    assert set(definition(name)["required"]) == required


@pytest.mark.parametrize("name", ["ItemMessage", "ClickMessage", "PurchaseMessage"])
def test_schema_of_input_allows_unknown_fields(name: str) -> None:
    assert definition(name).get("additionalProperties", True) is True


def test_schema_holds_ids_to_256_characters() -> None:
    user_id = definition("ClickMessage")["properties"]["user_id"]
    assert (user_id["minLength"], user_id["maxLength"]) == (1, 256)


def test_schema_allows_both_forms_of_a_timestamp() -> None:
    forms = definition("ClickMessage")["properties"]["timestamp"]["anyOf"]
    assert {(one["type"], one.get("format")) for one in forms} == {("integer", None), ("string", "date-time")}


def test_schema_lists_the_headers_of_dead_letters() -> None:
    assert json_schema()["dead_letter_headers"] == list(DEAD_LETTER_HEADERS)


def test_schema_validates_a_real_message() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json_schema()
    schema["$ref"] = schema["topics"]["recommendations"]["$ref"]
    jsonschema.validate(json.loads(msgspec.json.encode(RECOMMENDATION)), schema)
