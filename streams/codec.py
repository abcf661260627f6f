"""From bytes to a message or to the reason why not: pure, total, and cheap enough for every event.

Every function here returns a value for every input. A ``Rejected`` becomes a dead letter: its ``reason`` is
one of the words below (a metric label), its ``error`` a sentence for a person. JSON is the way of nearly all;
CloudEvents (``streams.cloudevents``) and Avro (``streams.avro``) end in the same structs and limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from encoders.events import EventType, Interaction, Item
from exporters.publisher import Headers
from streams.cloudevents import Envelope, Malformed, envelope, event_attributes
from streams.messages import ClickMessage, ItemMessage, PurchaseMessage

Reason = Literal[
    "too_large",
    "null_value",
    "not_utf8",
    "malformed_json",
    "schema",
    "cloudevent",
    "malformed_avro",
    "unknown_schema",
    "empty_key",
    "key_mismatch",
    "timestamp_future",
    "timestamp_past",
    "unknown_item",
    "waiting_full",
    "unknown_model",
    "stale_parent",
    "empty_window",
]

EARLIEST_MS = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp() * 1000)
"""Anything before is a mistake of units: seconds read as milliseconds lie in January 1970."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a message cannot be used: a word for machines and a sentence for people."""

    reason: Reason
    error: str


@dataclass(frozen=True, slots=True)
class Delisted:
    """A tombstone on ``items``: the item is no longer sold."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is read; ``max_future_ms`` is the tolerance for a producer's clock."""

    max_value_bytes: int = 65_536
    max_future_ms: int = 300_000


class ReadsAvro(Protocol):
    """What reads Avro values, by schemas that a registry has (``streams.avro.AvroReader``)."""

    def read(self, value: bytes) -> dict[str, Any] | Rejected:
        """The fields of a value that begins with a zero byte; raises ``BrokerUnavailable``."""


Message = TypeVar("Message")

_click = msgspec.json.Decoder(ClickMessage)
_purchase = msgspec.json.Decoder(PurchaseMessage)
_item = msgspec.json.Decoder(ItemMessage)
_object = msgspec.json.Decoder(dict[str, Any])


def decode_interaction(
    event_type: EventType,
    key: bytes | None,
    value: bytes | None,
    now_ms: int,
    limits: Limits,
    headers: Headers = (),
    avro: ReadsAvro | None = None,
) -> Interaction | Rejected:
    """Read a message of ``clicks`` or ``purchases``; ``now_ms`` bounds its timestamp.

    Without ``avro`` every value is JSON. With it, one whose schema must be fetched first raises
    ``BrokerUnavailable`` where the registry does not answer.
    """
    message: ClickMessage | PurchaseMessage | Rejected
    if event_type is EventType.PURCHASE:
        message = _parse_any(_purchase, PurchaseMessage, value, limits, headers, avro, "purchases")
    else:
        message = _parse_any(_click, ClickMessage, value, limits, headers, avro, "clicks")
    if isinstance(message, Rejected):
        return message
    if fault := _check_key(key, message.user_id, "user_id"):
        return fault
    timestamp_ms = _to_ms(message.timestamp)
    if timestamp_ms > now_ms + limits.max_future_ms:
        return Rejected("timestamp_future", f"timestamp {timestamp_ms} is {timestamp_ms - now_ms} ms ahead")
    if timestamp_ms < EARLIEST_MS:
        return Rejected("timestamp_past", f"timestamp {timestamp_ms} is before 1990: seconds sent as ms?")
    common = (timestamp_ms, message.event_id, message.session_id)
    if isinstance(message, PurchaseMessage):
        quantity, price = message.quantity, message.price
        return Interaction(message.user_id, message.item_id, EventType.PURCHASE, *common, quantity, price)
    kind = EventType[message.event_type.upper()]
    if (kind is EventType.RATING) != (message.rating is not None):
        return Rejected("schema", "event_type rating and the field rating go together")
    return Interaction(message.user_id, message.item_id, kind, *common, rating=message.rating)


def decode_item(
    key: bytes | None,
    value: bytes | None,
    limits: Limits,
    headers: Headers = (),
    avro: ReadsAvro | None = None,
) -> Item | Delisted | Rejected:
    """Read a message of ``items``; a null value is a tombstone. ``avro`` as in :func:`decode_interaction`."""
    if value is None:
        return _delisted(key)
    message = _parse_any(_item, ItemMessage, value, limits, headers, avro)
    if isinstance(message, Rejected):
        return message
    if fault := _check_key(key, message.item_id, "item_id"):
        return fault
    return Item(
        item_id=message.item_id,
        title=message.title,
        description=message.description,
        categories=tuple(message.categories),
        price=message.price,
        available=message.available,
        brand=message.brand or _brand(message.attributes),
        created_ms=None if message.created_at is None else _to_ms(message.created_at),
    )


def _brand(attributes: dict[str, Any]) -> str | None:
    """Many shops send the brand among the attributes."""
    brand = attributes.get("brand")
    return brand[:500] or None if isinstance(brand, str) else None


def _parse_any(
    decoder: msgspec.json.Decoder[Message],
    kind: type[Message],
    value: bytes | None,
    limits: Limits,
    headers: Headers,
    avro: ReadsAvro | None,
    topic: str | None = None,
) -> Message | Rejected:
    """Read a value in whatever form it comes; ``topic``, of an event, is where its CloudEvent belongs."""
    coded = avro if avro is not None and value is not None and value[:1] == b"\0" else None
    if value is None or len(value) > limits.max_value_bytes or not (headers or coded):
        return parse(decoder, value, limits)
    found = envelope(headers, value)
    if isinstance(found, Malformed):
        return Rejected("cloudevent", found.error)
    if found is None and coded is None:
        return parse(decoder, value, limits)
    body = _body(found, value, limits, coded)
    if isinstance(body, Rejected):
        return body
    known = event_attributes(found, topic) if found is not None and topic is not None else {}
    if isinstance(known, Malformed):
        return Rejected("cloudevent", known.error)
    try:
        return msgspec.convert(known | body, kind)
    except msgspec.ValidationError as error:
        return Rejected("schema", str(error))


def _body(
    found: Envelope | None, value: bytes, limits: Limits, avro: ReadsAvro | None
) -> dict[str, Any] | Rejected:
    """The fields of our message, not validated yet."""
    if found is not None and isinstance(found.data, dict):
        return found.data
    if avro is not None:
        return avro.read(value)
    return parse(_object, value, limits)


def parse(decoder: msgspec.json.Decoder[Message], value: bytes | None, limits: Limits) -> Message | Rejected:
    """Read a value of bounded size, which must be UTF-8 as a whole."""
    if value is None:
        return Rejected("null_value", "the value is null")
    if len(value) > limits.max_value_bytes:
        return Rejected("too_large", f"{len(value)} bytes; the limit is {limits.max_value_bytes}")
    try:
        value.decode()  # The parser skips unknown fields without reading their text.
        return decoder.decode(value)
    except UnicodeDecodeError as error:
        return Rejected("not_utf8", str(error))
    except msgspec.ValidationError as error:
        return Rejected("schema", str(error))
    except (msgspec.DecodeError, RecursionError) as error:
        return Rejected("malformed_json", str(error))


def _check_key(key: bytes | None, expected: str, field: str) -> Rejected | None:
    if not key:
        return Rejected("empty_key", f"the key is empty; it must be the {field}")
    if key != expected.encode(errors="surrogatepass"):
        return Rejected("key_mismatch", f"the key differs from {field}")
    return None


def _delisted(key: bytes | None) -> Delisted | Rejected:
    if not key:
        return Rejected("empty_key", "a tombstone without a key names no item")
    try:
        return Delisted(key.decode())
    except UnicodeDecodeError as error:
        return Rejected("not_utf8", f"the key is not UTF-8: {error}")


def _to_ms(timestamp: int | datetime) -> int:
    if isinstance(timestamp, datetime):
        return round(timestamp.timestamp() * 1000)
    return timestamp


_encoder = msgspec.json.Encoder()


def encode_interaction(event: Interaction) -> tuple[str, bytes, bytes]:
    """An interaction as a producer sends it: (topic, key, value); read by :func:`decode_interaction`."""
    fields = {
        "event_id": event.event_id,
        "user_id": event.user_id,
        "item_id": event.item_id,
        "timestamp": event.timestamp_ms,
        "session_id": event.session_id,
    }
    key = event.user_id.encode()
    if event.event_type is EventType.PURCHASE:
        return "purchases", key, _encoder.encode(fields | {"quantity": event.quantity, "price": event.price})
    kind = event.event_type
    named = {} if kind is EventType.CLICK else {"event_type": kind.name.lower()}
    rated = {} if event.rating is None else {"rating": event.rating}
    return "clicks", key, _encoder.encode(fields | named | rated)


def encode_item(item: Item) -> tuple[str, bytes, bytes]:
    """An item as a producer sends it: (topic, key, value); read by :func:`decode_item`."""
    fields: dict[str, Any] = {
        "item_id": item.item_id,
        "title": item.title,
        "description": item.description,
        "categories": item.categories,
        "price": item.price,
        "available": item.available,
    }
    fields |= {} if item.brand is None else {"brand": item.brand}
    fields |= {} if item.created_ms is None else {"created_at": item.created_ms}
    return "items", item.item_id.encode(), _encoder.encode(fields)
