"""CloudEvents 1.0 on Kafka: an event of ours inside one, unwrapped; recommendations labelled as such. Pure.

The Kafka protocol binding has two modes. *Binary*: attributes are headers ``ce_*``, the value is our message.
*Structured*: the header ``content-type`` is ``application/cloudevents+json``, and our message is the value's
``data``. What our message leaves out is taken from the attributes: ``event_id`` from ``id``, ``timestamp``
from ``time``, ``event_type`` from the last word of ``type`` where that is one (``com.example.shop.cart``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from exporters.publisher import Headers
from streams.messages import Recommendation

SPECVERSION = "1.0"
STRUCTURED = "application/cloudevents+json"
RECOMMENDATION_TYPE = "freshet.recommendation"
JSON_TYPES = ("application/json", "text/json")
CLICK_TYPES = ("click", "cart", "dislike", "rating")
"""Last words of ``type`` that name an ``event_type`` of ``clicks``; ``purchase`` belongs to ``purchases``."""


class Envelope(Struct, frozen=True):
    """The attributes that are read; in structured mode ``data`` is our message."""

    specversion: str
    id: str
    source: str
    type: str
    time: str | None = None
    datacontenttype: str | None = None
    data: dict[str, Any] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why it is no CloudEvent, a sentence."""

    error: str


_structured = msgspec.json.Decoder(Envelope)


def envelope(headers: Headers, value: bytes) -> Envelope | Malformed | None:
    """The CloudEvent that a message is, by its headers; ``None`` where it is none. ``value`` is bounded."""
    mode = None
    for name, _ in headers:
        if name == "ce_specversion" or name == "content-type":
            mode = name
            break
    if mode is None:
        return None
    try:
        found = _attributes(headers)
    except ValueError as error:
        return Malformed(str(error))
    content_type = found.pop("content-type", "").partition(";")[0].strip().lower()
    if content_type.startswith("application/cloudevents"):
        return _checked(_read_structured(content_type, found, value))
    if "specversion" not in found:
        return None
    return _checked(_read_binary(found, content_type))


def _attributes(headers: Headers) -> dict[str, str]:
    """``ce_*`` without the prefix, and ``content-type``; raises ``ValueError`` where one has two values."""
    found: dict[str, str] = {}
    for name, raw in headers:
        if name != "content-type" and not name.startswith("ce_"):
            continue
        key = name.removeprefix("ce_")
        try:
            text = (raw or b"").decode()
        except UnicodeDecodeError:
            raise ValueError(f"the header {name} is not UTF-8") from None
        if found.setdefault(key, text) != text:
            raise ValueError(f"the header {name} is there twice, with two values")
    return found


def _read_structured(content_type: str, headers: dict[str, str], value: bytes) -> Envelope | Malformed:
    if content_type != STRUCTURED:
        return Malformed(f"content-type {content_type} is not read: send {STRUCTURED}, or binary mode")
    try:
        value.decode()  # The parser skips unknown fields without reading their text.
        read = _structured.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Malformed(f"the value is no CloudEvent in JSON: {error}")
    if read.data is UNSET:
        return Malformed("the CloudEvent has no data: send the message as a JSON object in data")
    for name in ("specversion", "id", "source", "type"):
        if headers.get(name, wanted := getattr(read, name)) != wanted:
            return Malformed(f"the header ce_{name} differs from {name} in the value")
    return read


def _read_binary(headers: dict[str, str], content_type: str) -> Envelope | Malformed:
    missing = [f"ce_{name}" for name in ("id", "source", "type") if not headers.get(name)]
    if missing:
        return Malformed(f"a CloudEvent needs the headers {', '.join(missing)}")
    return Envelope(
        specversion=headers["specversion"],
        id=headers["id"],
        source=headers["source"],
        type=headers["type"],
        time=headers.get("time"),
        datacontenttype=content_type or None,
    )


def _checked(found: Envelope | Malformed) -> Envelope | Malformed:
    if isinstance(found, Malformed):
        return found
    if found.specversion != SPECVERSION:
        return Malformed(f"specversion {found.specversion[:20]!r} is not read: send {SPECVERSION}")
    empty = [name for name in ("id", "source", "type") if not getattr(found, name)]
    if empty:
        return Malformed(f"the CloudEvent's {', '.join(empty)} must not be empty")
    kind = (found.datacontenttype or JSON_TYPES[0]).partition(";")[0].strip().lower()
    if kind not in JSON_TYPES and not kind.endswith("+json") and "avro" not in kind:
        return Malformed(f"content-type {kind[:80]} of the data is not read: send application/json")
    return found


def event_attributes(event: Envelope, topic: str) -> dict[str, Any] | Malformed:
    """What an event on ``clicks`` or ``purchases`` may leave out in its body: field -> value."""
    known: dict[str, Any] = {"event_id": event.id}
    if event.time is not None:
        known["timestamp"] = event.time
    word = event.type.rpartition(".")[2].lower()
    home = "purchases" if word == "purchase" else "clicks" if word in CLICK_TYPES else topic
    if home != topic:
        return Malformed(f"type {event.type[:80]!r} belongs on the topic {home}, and came on {topic}")
    if word in CLICK_TYPES:
        known["event_type"] = word
    return known


def recommendation_headers(message: Recommendation, source: str, content_type: str) -> Headers:
    """Binary mode for a recommendation; the id is the same when it is published again after a fault."""
    trigger = message.trigger
    made = datetime.fromtimestamp(message.generated_at / 1000, UTC).isoformat(timespec="milliseconds")
    attributes = {
        "ce_specversion": SPECVERSION,
        "ce_id": f"{message.user_id}/{message.scenario}/{trigger.topic}/{trigger.event_id}",
        "ce_source": source,
        "ce_type": RECOMMENDATION_TYPE,
        "ce_time": made.replace("+00:00", "Z"),
        "ce_subject": message.user_id,
        "content-type": content_type,
    }
    return [(name, text.encode()) for name, text in attributes.items()]
