"""Every kind of bad input has its reason, good input its value, and nothing raises."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.events import EventType, Interaction, Item
from streams.codec import (
    EARLIEST_MS,
    Delisted,
    Limits,
    Rejected,
    decode_interaction,
    decode_item,
    encode_item,
)

NOW_MS = 1_700_000_000_000
LIMITS = Limits()
EVENT: dict[str, Any] = {"event_id": "e1", "user_id": "u1", "item_id": "i1", "timestamp": NOW_MS}
ITEM: dict[str, Any] = {"item_id": "i1", "title": "Kettle"}


def json_values(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | st.integers() | numbers | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=5,
    )


JSON = json_values(st.floats())
FINITE_JSON = json_values(st.floats(allow_nan=False, allow_infinity=False))


def read(
    value: bytes | None, key: bytes | None = b"u1", event_type: EventType = EventType.PURCHASE
) -> Interaction | Rejected:
    return decode_interaction(event_type, key, value, NOW_MS, LIMITS)


def read_item(value: bytes | None, key: bytes | None = b"i1") -> Item | Delisted | Rejected:
    return decode_item(key, value, LIMITS)


def event(**changes: Any) -> bytes:
    return json.dumps(EVENT | changes).encode()


def without(field: str) -> bytes:
    return json.dumps({name: value for name, value in EVENT.items() if name != field}).encode()


BAD_VALUES = {
    "null value": (None, "null_value"),
    "empty value": (b"", "malformed_json"),
    "not JSON": (b"{not json", "malformed_json"),
    "cut off": (event()[:-5], "malformed_json"),
    "two documents": (event() + event(), "malformed_json"),
    "byte order mark": (b"\xef\xbb\xbf" + event(), "malformed_json"),
    "nested too deeply": (event()[:-1] + b',"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "malformed_json"),
    "NaN": (event(price=float("nan")), "malformed_json"),
    "infinity": (event(price=float("inf")), "malformed_json"),
    "half a surrogate pair": (event(session_id="\ud83d"), "malformed_json"),
    "wrong UTF-8 throughout": (b"\xff\xfe\x00", "not_utf8"),
    "wrong UTF-8 in a field": (event(item_id="@").replace(b"@", b"\xff"), "not_utf8"),
    "wrong UTF-8 in an unknown field": (event(note="@").replace(b"@", b"\xff"), "not_utf8"),
    "JSON null": (b"null", "schema"),
    "list": (b"[]", "schema"),
    "string": (b'"click"', "schema"),
    "number": (b"17", "schema"),
    "no event_id": (without("event_id"), "schema"),
    "no user_id": (without("user_id"), "schema"),
    "no item_id": (without("item_id"), "schema"),
    "no timestamp": (without("timestamp"), "schema"),
    "null item_id": (event(item_id=None), "schema"),
    "number for item_id": (event(item_id=5), "schema"),
    "empty item_id": (event(item_id=""), "schema"),
    "empty event_id": (event(event_id=""), "schema"),
    "item_id too long": (event(item_id="x" * 257), "schema"),
    "event_id too long": (event(event_id="x" * 257), "schema"),
    "session_id too long": (event(session_id="x" * 257), "schema"),
    "true for timestamp": (event(timestamp=True), "schema"),
    "fraction for timestamp": (event(timestamp=NOW_MS + 0.5), "schema"),
    "word for timestamp": (event(timestamp="yesterday"), "schema"),
    "timestamp without offset": (event(timestamp="2023-11-14T22:13:20"), "schema"),
    "timestamp of 5,000 digits": (event(timestamp=0).replace(b": 0", b": " + b"9" * 5_000), "schema"),
    "negative price": (event(price=-0.01), "schema"),
    "price beyond bounds": (event(price=1.1e12), "schema"),
    "price beyond floats": (event(price=0).replace(b'"price": 0', b'"price": 1e400'), "schema"),
    "string for price": (event(price="9.99"), "schema"),
    "no quantity": (event(quantity=0), "schema"),
    "negative quantity": (event(quantity=-1), "schema"),
    "timestamp in the far future": (event(timestamp=NOW_MS + 86_400_000), "timestamp_future"),
    "date in the far future": (event(timestamp="9999-12-31T23:59:59-23:59"), "timestamp_future"),
    "seconds sent as milliseconds": (event(timestamp=NOW_MS // 1000), "timestamp_past"),
    "date in the far past": (event(timestamp="0001-01-01T00:00:00+23:59"), "timestamp_past"),
    "value of 1 MB": (event(context={"x": "y" * 1_000_000}), "too_large"),
}


@pytest.mark.parametrize(("value", "reason"), BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_bad_value_is_rejected_with_its_reason(value: bytes | None, reason: str) -> None:
    assert isinstance(rejected := read(value), Rejected)
    assert rejected.reason == reason


@pytest.mark.parametrize(("value", "reason"), BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_an_error_is_one_line_and_no_copy_of_the_value(value: bytes | None, reason: str) -> None:
    assert isinstance(rejected := read(value), Rejected)
    assert 0 < len(rejected.error) < 300
    assert "\n" not in rejected.error


@pytest.mark.parametrize(
    ("key", "reason"),
    [(None, "empty_key"), (b"", "empty_key"), (b"u2", "key_mismatch"), (b"\xff", "key_mismatch")],
)
def test_bad_key_is_rejected_with_its_reason(key: bytes | None, reason: str) -> None:
    assert isinstance(rejected := read(event(), key), Rejected)
    assert rejected.reason == reason


def test_key_is_compared_as_utf8() -> None:
    assert isinstance(read(event(user_id="Zoë"), "Zoë".encode()), Interaction)


def test_too_large_value_is_not_parsed() -> None:
    broken = b"\xff" * (LIMITS.max_value_bytes + 1)
    assert read(broken) == Rejected("too_large", "65537 bytes; the limit is 65536")


def test_value_of_exactly_the_limit_is_read() -> None:
    padding = LIMITS.max_value_bytes - len(event(x=""))
    assert isinstance(read(event(x="y" * padding)), Interaction)


def test_every_field_of_a_purchase_is_read() -> None:
    value = event(session_id="s1", quantity=3, price=9.5, context={"page": 1})
    assert read(value) == Interaction("u1", "i1", EventType.PURCHASE, NOW_MS, "e1", "s1", 3, 9.5)


def test_a_click_has_no_quantity_and_no_price() -> None:
    value = event(quantity=3, price=9.5)
    assert read(value, event_type=EventType.CLICK) == Interaction(
        "u1", "i1", EventType.CLICK, NOW_MS, "e1", None, 1, None
    )


@given(st.dictionaries(st.text().map(lambda name: "x-" + name), FINITE_JSON))
def test_unknown_fields_change_nothing(extra: dict[str, Any]) -> None:
    assert read(json.dumps(EVENT | extra).encode()) == read(event())


@pytest.mark.parametrize(
    ("ahead_ms", "accepted"), [(0, True), (LIMITS.max_future_ms, True), (LIMITS.max_future_ms + 1, False)]
)
def test_producers_clock_may_run_ahead_by_the_tolerance(ahead_ms: int, accepted: bool) -> None:
    assert isinstance(read(event(timestamp=NOW_MS + ahead_ms)), Interaction) is accepted


@pytest.mark.parametrize(("timestamp_ms", "accepted"), [(EARLIEST_MS, True), (EARLIEST_MS - 1, False)])
def test_past_ends_in_1990(timestamp_ms: int, accepted: bool) -> None:
    assert isinstance(read(event(timestamp=timestamp_ms)), Interaction) is accepted


@given(st.integers(EARLIEST_MS, NOW_MS), st.integers(-1_439, 1_439))
def test_rfc3339_and_milliseconds_agree(timestamp_ms: int, offset_minutes: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=timestamp_ms)
    shown = moment + timedelta(minutes=offset_minutes)
    hours, minutes = divmod(abs(offset_minutes), 60)
    sign = "-" if offset_minutes < 0 else "+"
    text = f"{shown:%Y-%m-%dT%H:%M:%S.}{shown.microsecond // 1000:03}{sign}{hours:02}:{minutes:02}"
    assert read(event(timestamp=text)) == read(event(timestamp=timestamp_ms))


@given(st.none() | st.binary(), st.none() | st.binary(), st.sampled_from(EventType))
def test_no_bytes_make_decoding_an_interaction_raise(
    key: bytes | None, value: bytes | None, event_type: EventType
) -> None:
    assert isinstance(read(value, key, event_type), Interaction | Rejected)


@given(st.none() | st.binary(), st.none() | st.binary())
def test_no_bytes_make_decoding_an_item_raise(key: bytes | None, value: bytes | None) -> None:
    assert isinstance(read_item(value, key), Item | Delisted | Rejected)


@given(st.data())
def test_valid_json_with_any_bytes_changed_never_raises(data: st.DataObject) -> None:
    value = bytearray(event(session_id="s", quantity=2, price=1.5, context={"a": [1, None]}))
    for _ in range(data.draw(st.integers(1, 6))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(read(bytes(value)), Interaction | Rejected)


@given(st.dictionaries(st.sampled_from([*EVENT, "session_id", "quantity", "price", "context"]), JSON))
def test_any_json_in_known_fields_never_raises(changes: dict[str, Any]) -> None:
    assert isinstance(read(event(**changes)), Interaction | Rejected)


ITEM_FIELDS = [*ITEM, "description", "categories", "price", "attributes", "brand", "created_at"]


@given(st.dictionaries(st.sampled_from(ITEM_FIELDS), JSON))
def test_any_json_in_fields_of_an_item_never_raises(changes: dict[str, Any]) -> None:
    assert isinstance(read_item(json.dumps(ITEM | changes).encode()), Item | Rejected)


def test_every_field_of_an_item_is_read() -> None:
    fields = {"description": "Boils.", "categories": ["Home", "Kitchen"], "price": 30, "available": False}
    value = json.dumps(ITEM | fields | {"attributes": {"colour": "red"}, "unknown": 1}).encode()
    assert read_item(value) == Item("i1", "Kettle", "Boils.", ("Home", "Kitchen"), 30.0, False)


def read_fields(**fields: Any) -> Item:
    found = read_item(json.dumps(ITEM | fields).encode())
    assert isinstance(found, Item)
    return found


@pytest.mark.parametrize(
    ("fields", "brand"),
    [
        ({"brand": "Acme"}, "Acme"),
        ({"attributes": {"brand": "Acme"}}, "Acme"),
        ({"brand": "Acme", "attributes": {"brand": "Bolt"}}, "Acme"),
        ({"brand": None, "attributes": {"brand": "Bolt"}}, "Bolt"),
        ({"attributes": {"brand": ["Acme"]}}, None),
        ({"attributes": {"brand": "x" * 501}}, "x" * 500),
        ({"brand": ""}, None),
        ({}, None),
    ],
)
def test_a_brand_is_a_field_or_among_the_attributes(fields: dict[str, Any], brand: str | None) -> None:
    assert read_fields(**fields).brand == brand


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        (NOW_MS, NOW_MS),
        ("2023-11-14T22:13:20Z", NOW_MS),
        ("2023-11-14T23:13:20.5+01:00", NOW_MS + 500),
        (None, None),
    ],
)
def test_a_time_of_creation_is_milliseconds_or_rfc_3339(created_at: object, expected: int | None) -> None:
    assert read_fields(created_at=created_at).created_ms == expected


@given(st.none() | st.text("abc", min_size=1), st.none() | st.integers(EARLIEST_MS, NOW_MS))
def test_an_item_is_read_as_it_was_written(brand: str | None, created_ms: int | None) -> None:
    item = Item("i1", "Kettle", price=3.5, brand=brand, created_ms=created_ms)
    _, key, value = encode_item(item)
    assert decode_item(key, value, LIMITS) == item


def test_tombstone_delists_the_item_of_its_key() -> None:
    assert read_item(None, "Tasse-ß".encode()) == Delisted("Tasse-ß")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (None, None, "empty_key"),
        (b"", None, "empty_key"),
        (b"\xff", None, "not_utf8"),
        (b"i2", json.dumps(ITEM).encode(), "key_mismatch"),
        (b"i1", b'{"item_id":"i1"}', "schema"),
        (b"i1", json.dumps(ITEM | {"price": -1}).encode(), "schema"),
        (b"i1", json.dumps(ITEM | {"brand": "x" * 501}).encode(), "schema"),
        (b"i1", json.dumps(ITEM | {"brand": 7}).encode(), "schema"),
        (b"i1", json.dumps(ITEM | {"created_at": "yesterday"}).encode(), "schema"),
        (b"i1", json.dumps(ITEM | {"created_at": "2023-11-14T22:13:20"}).encode(), "schema"),
        (b"i1", json.dumps(ITEM | {"title": "x" * 2_001}).encode(), "schema"),
        (b"i1", json.dumps(ITEM | {"description": "x" * 50_001}).encode(), "schema"),
        (b"i1", json.dumps(ITEM | {"categories": ["x"] * 65}).encode(), "schema"),
        (b"i1", json.dumps(ITEM | {"categories": ["x" * 501]}).encode(), "schema"),
        (b"i1", json.dumps(ITEM | {"description": "x" * 70_000}).encode(), "too_large"),
    ],
)
def test_bad_item_is_rejected_with_its_reason(key: bytes | None, value: bytes | None, reason: str) -> None:
    assert isinstance(rejected := read_item(value, key), Rejected)
    assert rejected.reason == reason
