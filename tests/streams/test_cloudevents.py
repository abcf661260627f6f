"""CloudEvents on Kafka: both modes of the binding end in the event that plain JSON makes, or in a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.events import EventType, Interaction, Item
from exporters.publisher import Headers
from streams.codec import Delisted, Limits, Rejected, decode_interaction, decode_item
from streams.messages import Recommendation, Trigger
from streams.recommendation_format import RecommendationFormat
from tests.fakes.kafka_messages import NOW_MS

BODY: dict[str, Any] = {"event_id": "e1", "user_id": "u1", "item_id": "i1", "timestamp": NOW_MS}
SHORT = {"user_id": "u1", "item_id": "i1"}
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/shop",
    "type": "com.example.shop.click",
    "time": "2023-11-14T22:13:20Z",
}
"""``time`` is ``NOW_MS``."""
HEADERS = tuple((f"ce_{name}", text.encode()) for name, text in ATTRIBUTES.items())
PLAIN = Interaction("u1", "i1", EventType.CLICK, NOW_MS, "e1", None)


def read(
    value: bytes | None, headers: Headers, event_type: EventType = EventType.CLICK
) -> Interaction | Rejected:
    return decode_interaction(event_type, b"u1", value, NOW_MS, Limits(), headers)


def binary(
    body: dict[str, Any], event_type: EventType = EventType.CLICK, **changes: str | None
) -> Interaction | Rejected:
    """``changes`` of the attributes; ``None`` leaves one out."""
    headers = [
        (f"ce_{name}", text.encode()) for name, text in (ATTRIBUTES | changes).items() if text is not None
    ]
    return read(json.dumps(body).encode(), headers, event_type)


def structured(
    body: Any, content_type: bytes = b"application/cloudevents+json; charset=UTF-8", **changes: Any
) -> Interaction | Rejected:
    value = ATTRIBUTES | {"data": body} | changes
    kept = {name: part for name, part in value.items() if part is not None}
    return read(json.dumps(kept).encode(), (("content-type", content_type),))


@pytest.mark.parametrize("send", [binary, structured])
def test_what_the_body_leaves_out_comes_from_the_attributes(send: Any) -> None:
    assert send(SHORT) == PLAIN


@pytest.mark.parametrize("send", [binary, structured])
def test_what_the_body_says_wins(send: Any) -> None:
    assert send(BODY, id="other", time="2020-01-01T00:00:00Z") == PLAIN


@pytest.mark.parametrize("send", [binary, structured])
@pytest.mark.parametrize(
    ("attribute", "kind"),
    [("cart", EventType.CART), ("com.example.Dislike", EventType.DISLIKE), ("page.viewed", EventType.CLICK)],
)
def test_last_word_of_the_type_names_the_kind_of_a_click(send: Any, attribute: str, kind: EventType) -> None:
    assert send(SHORT, type=attribute).event_type is kind


def test_a_kind_in_the_body_beats_the_type() -> None:
    event = binary(SHORT | {"event_type": "cart"}, type="shop.click")
    assert isinstance(event, Interaction)
    assert event.event_type is EventType.CART


def test_a_purchase_keeps_its_quantity_and_price() -> None:
    event = binary(SHORT | {"quantity": 2, "price": 3.5}, EventType.PURCHASE, type="shop.purchase")
    assert event == Interaction("u1", "i1", EventType.PURCHASE, NOW_MS, "e1", None, 2, 3.5)


@pytest.mark.parametrize(
    ("event_type", "attribute", "home"),
    [(EventType.CLICK, "shop.purchase", "purchases"), (EventType.PURCHASE, "shop.cart", "clicks")],
)
def test_a_type_of_the_other_topic_is_refused(event_type: EventType, attribute: str, home: str) -> None:
    answer = binary(SHORT, event_type, type=attribute)
    assert isinstance(answer, Rejected)
    assert answer.reason == "cloudevent"
    assert f"belongs on the topic {home}" in answer.error


CONTRADICTIONS: dict[str, tuple[Any, str]] = {
    "newer version": (lambda: binary(SHORT, specversion="2.0"), "specversion '2.0' is not read"),
    "older version": (lambda: structured(SHORT, specversion="0.3"), "specversion '0.3' is not read"),
    "no id": (lambda: binary(SHORT, id=None), "needs the headers ce_id"),
    "no source and type": (
        lambda: binary(SHORT, source=None, type=None),
        "needs the headers ce_source, ce_type",
    ),
    "structured without an id": (lambda: structured(SHORT, id=None), "required field `id`"),
    "empty source": (lambda: structured(SHORT, source=""), "source must not be empty"),
    "no data": (lambda: structured(None), "has no data"),
    "data in base64": (lambda: structured(None, data_base64="e30="), "has no data"),
    "data is a list": (lambda: structured([1]), "Expected `object`, got `array`"),
    "data of another kind": (
        lambda: structured(SHORT, datacontenttype="text/xml"),
        "text/xml of the data is not",
    ),
    "a batch": (
        lambda: structured(SHORT, b"application/cloudevents-batch+json"),
        "send application/cloudevents+json",
    ),
    "in Avro": (
        lambda: structured(SHORT, b"application/cloudevents+avro"),
        "application/cloudevents+avro is not read",
    ),
    "text": (
        lambda: read(b"{}", (*HEADERS, ("content-type", b"text/plain"))),
        "text/plain of the data is not read",
    ),
    "header not UTF-8": (lambda: read(b"{}", (("ce_specversion", b"\xff"),)), "ce_specversion is not UTF-8"),
    "header twice": (
        lambda: read(b"{}", (("ce_specversion", b"1.0"), ("ce_id", b"a"), ("ce_id", b"b"))),
        "ce_id is there twice",
    ),
    "header against value": (
        lambda: read(
            json.dumps(ATTRIBUTES | {"data": SHORT}).encode(),
            (("content-type", b"application/cloudevents+json"), ("ce_id", b"other")),
        ),
        "ce_id differs from id",
    ),
    "value is no JSON": (
        lambda: read(b"{", (("content-type", b"application/cloudevents+json"),)),
        "no CloudEvent in JSON",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_is_no_cloudevent_or_contradicts_itself_is_refused_with_a_sentence(name: str) -> None:
    send, sentence = CONTRADICTIONS[name]
    answer = send()
    assert isinstance(answer, Rejected)
    assert answer.reason == "cloudevent"
    assert sentence in answer.error


@pytest.mark.parametrize("send", [binary, structured])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"time": None}, "schema"),
        ({"time": "yesterday"}, "schema"),
        ({"id": "x" * 257}, "schema"),
        ({"time": "2033-01-01T00:00:00Z"}, "timestamp_future"),
    ],
)
def test_attributes_are_held_to_the_limits_of_the_fields(send: Any, changes: Any, reason: str) -> None:
    answer = send(SHORT, **changes)
    assert isinstance(answer, Rejected)
    assert answer.reason == reason


@pytest.mark.parametrize("content_type", [b"application/cloudevents+json", b"application/json"])
def test_a_value_beyond_the_bound_is_refused_unread(content_type: bytes) -> None:
    answer = read(b" " * 65_537, (("content-type", content_type), ("ce_specversion", b"1.0")))
    assert isinstance(answer, Rejected)
    assert answer.reason == "too_large"


@pytest.mark.parametrize(
    "headers",
    [
        (("traceparent", b"00-1-2-03"),),
        (("content-type", b"application/json"),),
        (("ce_id", b"x"), ("nothing", None)),
    ],
)
def test_a_message_with_other_headers_is_read_as_ever(headers: Headers) -> None:
    assert read(json.dumps(BODY).encode(), headers) == PLAIN


def test_an_item_comes_in_a_cloudevent() -> None:
    value = b'{"item_id": "i1", "title": "Kettle"}'
    assert decode_item(b"i1", value, Limits(), HEADERS) == Item("i1", "Kettle")


def test_a_tombstone_with_attributes_delists() -> None:
    assert decode_item(b"i1", None, Limits(), HEADERS) == Delisted("i1")


NAMES = st.sampled_from(["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type", "x"])
TEXTS = st.binary(max_size=8) | st.sampled_from([b"1.0", b"a", b"application/cloudevents+json", None])


@given(
    st.lists(st.tuples(NAMES, TEXTS), max_size=7), st.binary(max_size=40) | st.just(json.dumps(BODY).encode())
)
def test_nothing_raises(headers: list[tuple[str, bytes | None]], value: bytes) -> None:
    assert isinstance(read(value, headers), Interaction | Rejected)


RECOMMENDATION = Recommendation(
    user_id="Zoë",
    scenario="home",
    items=[],
    model_version="v1",
    trigger=Trigger("clicks", "e1", "i1"),
    event_time=NOW_MS,
    generated_at=NOW_MS + 250,
)


def test_a_recommendation_is_no_cloudevent_unless_asked_for() -> None:
    assert dict(RecommendationFormat().outgoing(RECOMMENDATION).headers) == {"schema_version": b"1"}


def test_a_recommendation_carries_the_attributes() -> None:
    made = RecommendationFormat(source="/eu/freshet").outgoing(RECOMMENDATION)
    assert dict(made.headers) == {
        "schema_version": b"1",
        "ce_specversion": b"1.0",
        "ce_id": "Zoë/home/clicks/e1".encode(),
        "ce_source": b"/eu/freshet",
        "ce_type": b"freshet.recommendation",
        "ce_time": b"2023-11-14T22:13:20.250Z",
        "ce_subject": "Zoë".encode(),
        "content-type": b"application/json",
    }
