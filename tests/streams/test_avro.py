"""Avro in Confluent's wire format: read by the writer's schema, held to the limits of JSON, never a crash."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import BrokerUnavailable
from encoders.events import EventType, Interaction, Item
from streams.avro import CACHED_SCHEMAS, UNKNOWN_SECONDS, AvroReader
from streams.avro_schema import avro_schemas
from streams.codec import Delisted, Limits, Rejected, decode_interaction, decode_item
from streams.messages import Reason, Recommendation, RecommendedItem, Trigger
from streams.recommendation_format import RecommendationFormat, read_recommendation
from tests.fakes.kafka_messages import NOW_MS

SCHEMAS = avro_schemas()
EVENT: dict[str, Any] = {"event_id": "e1", "user_id": "u1", "item_id": "i1", "timestamp": NOW_MS}
STRING_FIELDS = [{"name": name, "type": "string"} for name in ("event_id", "user_id", "item_id")]
MILLIS = {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}}


def record(*fields: Any, name: str = "shop.Viewed") -> dict[str, Any]:
    """A producer's own schema of a click."""
    return {"type": "record", "name": name, "fields": [*STRING_FIELDS, MILLIS, *fields]}


def wire(schema: Any, fields: Mapping[str, Any], schema_id: int = 7) -> bytes:
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), dict(fields))
    return struct.pack(">bI", 0, schema_id) + body.getvalue()


def reader(*schemas: Any) -> AvroReader:
    """Knows these schemas, from 7 on."""
    known = {
        7 + n: schema if isinstance(schema, str) else json.dumps(schema) for n, schema in enumerate(schemas)
    }
    return AvroReader(lambda schema_id: known.get(schema_id) or Rejected("unknown_schema", "not there"))


def read(
    value: bytes, *schemas: Any, event_type: EventType = EventType.CLICK, **limits: int
) -> Interaction | Rejected:
    return decode_interaction(event_type, b"u1", value, NOW_MS, Limits(**limits), (), reader(*schemas))


def as_json(fields: Mapping[str, Any], event_type: EventType) -> Interaction | Rejected:
    return decode_interaction(event_type, b"u1", json.dumps(fields).encode(), NOW_MS, Limits())


@pytest.mark.parametrize(
    ("topic", "event_type", "more"),
    [
        ("clicks", EventType.CLICK, {}),
        ("clicks", EventType.CLICK, {"event_type": "rating", "rating": 4.5}),
        ("purchases", EventType.PURCHASE, {"quantity": 3, "price": 9.5, "session_id": "s"}),
        ("clicks", EventType.CLICK, {"event_type": "stroke"}),
        ("clicks", EventType.CLICK, {"item_id": "x" * 257}),
        ("clicks", EventType.CLICK, {"user_id": "other"}),
        ("clicks", EventType.CLICK, {"timestamp": NOW_MS + 10**9}),
        ("purchases", EventType.PURCHASE, {"price": -1.0}),
        ("purchases", EventType.PURCHASE, {"quantity": 0}),
    ],
)
def test_an_event_ends_as_the_same_event_in_json_does(
    topic: str, event_type: EventType, more: dict[str, Any]
) -> None:
    fields = EVENT | more
    assert read(wire(SCHEMAS[topic], fields), SCHEMAS[topic], event_type=event_type) == as_json(
        fields, event_type
    )


def test_an_item_ends_as_the_same_item_in_json_does() -> None:
    fields = {
        "item_id": "i1",
        "title": "Kettle",
        "categories": ["Kitchen"],
        "price": 19.5,
        "created_at": NOW_MS,
    }
    value = wire(SCHEMAS["items"], fields)
    expected = decode_item(b"i1", json.dumps(fields).encode(), Limits())
    assert isinstance(expected, Item)
    assert decode_item(b"i1", value, Limits(), (), reader(SCHEMAS["items"])) == expected


def test_a_tombstone_stays_one() -> None:
    assert decode_item(b"i1", None, Limits(), (), reader()) == Delisted("i1")


def test_json_is_read_beside_avro() -> None:
    value = json.dumps(EVENT).encode()
    assert decode_interaction(EventType.CLICK, b"u1", value, NOW_MS, Limits(), (), reader()) == as_json(
        EVENT, EventType.CLICK
    )


def test_avro_in_a_cloudevent_takes_what_it_leaves_out_from_the_headers() -> None:
    schema = {"type": "record", "name": "Short", "fields": STRING_FIELDS[1:]}
    headers = (
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e1"),
        ("ce_source", b"/shop"),
        ("ce_type", b"click"),
        ("ce_time", b"2023-11-14T22:13:20Z"),
        ("content-type", b"application/avro"),
    )
    value = wire(schema, EVENT)
    event = decode_interaction(EventType.CLICK, b"u1", value, NOW_MS, Limits(), headers, reader(schema))
    assert event == as_json(EVENT, EventType.CLICK)


ENUM = {"type": "enum", "name": "Kind", "symbols": ["click", "cart"]}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
AT = datetime.fromtimestamp(NOW_MS / 1000, UTC)
EVOLVED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "unknown fields are ignored": (
        record({"name": "page", "type": {"type": "map", "values": "long"}}),
        EVENT | {"page": {"n": 3}},
        {},
    ),
    "null is left out": (
        record({"name": "event_type", "type": ["null", "string"]}),
        EVENT | {"event_type": None},
        {},
    ),
    "an enum is its word": (
        record({"name": "event_type", "type": ENUM}),
        EVENT | {"event_type": "cart"},
        {"event_type": "cart"},
    ),
    "times in microseconds": (
        {"type": "record", "name": "A", "fields": [*STRING_FIELDS, {"name": "timestamp", "type": MICROS}]},
        EVENT | {"timestamp": AT + timedelta(microseconds=400)},
        {},
    ),
    "times as text": (
        {"type": "record", "name": "A", "fields": [*STRING_FIELDS, {"name": "timestamp", "type": "string"}]},
        EVENT | {"timestamp": "2023-11-14T22:13:20Z"},
        {},
    ),
    "a 32-bit number": (
        record({"name": "rating", "type": "float"}, {"name": "event_type", "type": "string"}),
        EVENT | {"rating": 4.5, "event_type": "rating"},
        {"rating": 4.5, "event_type": "rating"},
    ),
}


@pytest.mark.parametrize("name", EVOLVED)
def test_other_schemas_are_read_by_the_names_of_their_fields(name: str) -> None:
    schema, fields, expected = EVOLVED[name]
    assert read(wire(schema, fields), schema) == as_json(EVENT | expected, EventType.CLICK)


def test_decimals_and_uuids_are_what_json_would_have() -> None:
    from decimal import Decimal
    from uuid import UUID

    uuid = UUID(int=5)
    schema = record({"name": "price", "type": DECIMAL})
    schema["fields"][0] = {"name": "event_id", "type": {"type": "string", "logicalType": "uuid"}}
    value = wire(schema, EVENT | {"event_id": uuid, "price": Decimal("9.50")})
    expected = as_json(EVENT | {"event_id": str(uuid), "price": 9.5}, EventType.PURCHASE)
    assert read(value, schema, event_type=EventType.PURCHASE) == expected


CLICK = SCHEMAS["clicks"]
GOOD = wire(CLICK, EVENT)
NESTED = {"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}
EMPTY = {"type": "record", "name": "E", "fields": []}
REFUSED: dict[str, tuple[bytes, Any, str, str]] = {
    "no id": (b"\0\0\0", CLICK, "malformed_avro", "hold no schema id"),
    "unknown id": (wire(CLICK, EVENT, 99), CLICK, "unknown_schema", "not there"),
    "cut off": (GOOD[:-4], CLICK, "malformed_avro", "not a record of its schema"),
    "more than the record": (GOOD + b"x", CLICK, "malformed_avro", "1 bytes follow the record"),
    "of another schema": (GOOD, SCHEMAS["items"], "malformed_avro", ""),
    "not UTF-8": (GOOD.replace(b"i1", b"\xff\xff"), CLICK, "malformed_avro", "UnicodeDecodeError"),
    "too large": (GOOD + bytes(70_000), CLICK, "too_large", "the limit is 65536"),
    "not finite": (
        wire(SCHEMAS["purchases"], EVENT | {"price": float("nan")}),
        SCHEMAS["purchases"],
        "schema",
        "price is no finite number",
    ),
    "a field missing": (wire(EMPTY, {}), EMPTY, "schema", "missing required field"),
    "no record": (GOOD, "string", "unknown_schema", "cannot be used"),
    "a list of types": (GOOD, [CLICK], "unknown_schema", "is no record"),
    "no such type": (GOOD, record({"name": "x", "type": "strang"}), "unknown_schema", "cannot be used"),
    "a field without a type": (GOOD, record({"name": "x"}), "unknown_schema", "cannot be used"),
    "inside itself": (GOOD, record({"name": "x", "type": NESTED}), "unknown_schema", "N is inside itself"),
    "an array of nothing": (
        GOOD,
        record({"name": "x", "type": {"type": "array", "items": "null"}}),
        "unknown_schema",
        "array of values without bytes",
    ),
    "an array of empty records": (
        GOOD,
        record({"name": "x", "type": {"type": "array", "items": EMPTY}}),
        "unknown_schema",
        "array of values without bytes",
    ),
    "an array of empty fixed": (
        GOOD,
        record({"name": "x", "type": {"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}}),
        "unknown_schema",
        "array of values without bytes",
    ),
    "nested too deeply": (
        GOOD,
        '{"type":"record","name":"A","fields":' + '{"type":"array","items":' * 20_000 + '""' + "}" * 20_001,
        "unknown_schema",
        "cannot be used",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_reason(name: str) -> None:
    value, schema, reason, sentence = REFUSED[name]
    answer = read(value, schema)
    assert isinstance(answer, Rejected)
    assert answer.reason == reason
    assert sentence in answer.error


@given(st.binary(max_size=60), st.sampled_from(sorted(SCHEMAS)))
def test_no_bytes_raise(tail: bytes, topic: str) -> None:
    assert isinstance(read(struct.pack(">bI", 0, 7) + tail, SCHEMAS[topic]), Interaction | Rejected)


class Counting:
    """A registry that counts what it is asked."""

    def __init__(self, answer: Callable[[int], str | Rejected]) -> None:
        self.asked: list[int] = []
        self._answer = answer

    def __call__(self, schema_id: int) -> str | Rejected:
        self.asked.append(schema_id)
        return self._answer(schema_id)


def test_a_schema_is_fetched_once() -> None:
    fetch = Counting(lambda _: json.dumps(CLICK))
    avro = AvroReader(fetch)
    avro.learn(avro.unknown([GOOD, GOOD, b"{}", None, b"\0"]))
    assert avro.read(GOOD) == avro.read(GOOD)
    assert avro.unknown([GOOD]) == set()
    assert fetch.asked == [7]


def test_an_unknown_schema_is_asked_for_again_only_after_a_while() -> None:
    now = [0.0]
    fetch = Counting(lambda _: Rejected("unknown_schema", "no"))
    avro = AvroReader(fetch, lambda: now[0])
    for seconds in (0.0, 0.5, UNKNOWN_SECONDS - 0.1, UNKNOWN_SECONDS):
        now[0] = seconds
        avro.read(GOOD)
    assert fetch.asked == [7, 7]


def test_schemas_in_memory_are_bounded() -> None:
    fetch = Counting(lambda _: json.dumps(EMPTY))
    avro = AvroReader(fetch)
    avro.learn(range(CACHED_SCHEMAS + 1))
    assert avro.unknown([struct.pack(">bI", 0, 0), struct.pack(">bI", 0, 1)]) == {0}


def test_a_registry_that_is_away_is_no_reason_to_refuse() -> None:
    def away(_: int) -> str:
        raise BrokerUnavailable("away")

    with pytest.raises(BrokerUnavailable):
        decode_interaction(EventType.CLICK, b"u1", GOOD, NOW_MS, Limits(), (), AvroReader(away))


def test_a_recommendation_is_read_back_from_avro() -> None:
    from streams.avro import AvroWriter

    message = Recommendation(
        user_id="Zoë",
        scenario="home",
        items=[
            RecommendedItem("a", 0.5, Reason("trending")),
            RecommendedItem("b", 0.25, Reason("similar_to", "c")),
        ],
        model_version="v1",
        trigger=Trigger("clicks", "e1", "i1"),
        event_time=NOW_MS,
        generated_at=NOW_MS + 7,
    )
    made = RecommendationFormat(AvroWriter(SCHEMAS["recommendations"], 7)).outgoing(message)
    assert made.value is not None
    assert made.value[:5] == struct.pack(">bI", 0, 7)
    assert read_recommendation(made.value, reader(SCHEMAS["recommendations"])) == message
