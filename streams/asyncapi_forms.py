"""The other forms of a message in the AsyncAPI description: CloudEvents, and Avro by a schema registry."""

from __future__ import annotations

from typing import Any

from streams.avro_schema import TOPICS as AVRO_TOPICS
from streams.avro_schema import avro_schemas
from streams.cloudevents import SPECVERSION, STRUCTURED

Document = dict[str, Any]

WRAPPED = ("items", "clicks", "purchases")
"""Topics on which a message may come in a CloudEvent."""
FROM_ATTRIBUTES = ("event_id", "timestamp")
"""Fields that the CloudEvent's ``id`` and ``time`` stand in for."""
AVRO_FORMAT = "application/vnd.apache.avro+json;version=1.9.0"
_TEXT = {"type": "string", "minLength": 1}
_ATTRIBUTES: Document = {
    "specversion": {"type": "string", "const": SPECVERSION},
    "id": _TEXT | {"description": "event_id, where the message has none"},
    "source": _TEXT,
    "type": _TEXT | {"description": "its last word may name the event_type: com.example.shop.cart"},
    "time": {"type": "string", "format": "date-time", "description": "timestamp, where the message has none"},
}
_REQUIRED = ["specversion", "id", "source", "type"]


def forms(topic: str, plain: Document, schema: Document) -> dict[str, Document]:
    """Name -> message, of the other forms of ``plain``, whose payload is ``schema``."""
    made = _cloudevents(topic, plain, schema) if topic in WRAPPED else {}
    return made | (_avro(topic, plain) if topic in AVRO_TOPICS else {})


def _cloudevents(topic: str, plain: Document, schema: Document) -> dict[str, Document]:
    required = [name for name in schema.get("required", []) if name not in FROM_ATTRIBUTES]
    body = schema | {"required": required}
    headers = {f"ce_{name}": attribute for name, attribute in _ATTRIBUTES.items()}
    binary: Document = {
        "summary": f"{plain['summary']} As a CloudEvent, binary mode.",
        "headers": {
            "type": "object",
            "required": [f"ce_{name}" for name in _REQUIRED],
            "properties": headers,
        },
        "payload": body,
        "bindings": plain["bindings"],
    }
    structured: Document = {
        "summary": f"{plain['summary']} As a CloudEvent, structured mode.",
        "contentType": STRUCTURED,
        "headers": {
            "type": "object",
            "required": ["content-type"],
            "properties": {"content-type": {"type": "string"}},
        },
        "payload": {
            "type": "object",
            "required": [*_REQUIRED, "data"],
            "properties": _ATTRIBUTES | {"data": body},
        },
        "bindings": plain["bindings"],
    }
    return {f"{topic}.cloudevent": binary, f"{topic}.cloudevent-structured": structured}


def _avro(topic: str, plain: Document) -> dict[str, Document]:
    return {
        f"{topic}.avro": plain
        | {
            "summary": f"{plain['summary']} In Avro: a zero byte, the schema's id in 4 bytes, the record.",
            "contentType": "application/avro",
            "payload": {"schemaFormat": AVRO_FORMAT, "schema": avro_schemas()[topic]},
        }
    }
