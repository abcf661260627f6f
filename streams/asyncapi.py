"""The AsyncAPI 3 description of the topics; schemas come from the structs that decode and encode."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec

from streams.asyncapi_forms import forms
from streams.kafka.topics import TOPICS
from streams.messages import DEAD_LETTER_HEADERS, PUBLISHED, SCHEMA_VERSION

RECEIVED = ("items", "clicks", "purchases", "training-requests", "model-releases")
SENT = ("recommendations", "dead-letters", "training-requests", "model-releases")
KEYS = {
    "items": "item_id",
    "clicks": "user_id",
    "purchases": "user_id",
    "recommendations": "user_id",
    "training-requests": "the model's name",
    "model-releases": "the model's name",
    "dead-letters": "as received",
}
"""Topic -> what its messages are keyed by."""
TRACED = ("clicks", "purchases", "recommendations", "training-requests")
TRACEPARENT = {"type": "string", "description": "W3C trace context, of an event and of what follows."}


def document(prefix: str = "") -> dict[str, Any]:
    """The description, with ``prefix`` before every topic's name. Topics between workers are left out."""
    _, schemas = msgspec.json.schema_components(
        list(PUBLISHED.values()), ref_template="#/components/schemas/{name}"
    )
    messages = {topic: _messages(topic, schemas) for topic in KEYS}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Freshet",
            "version": version("freshet"),
            "description": "Clicks and purchases in, fresh recommendations out.",
        },
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic, prefix, list(messages[topic])) for topic in KEYS},
        "operations": _operations("receive", RECEIVED) | _operations("send", SENT),
        "components": {
            "messages": {name: one for each in messages.values() for name, one in each.items()},
            "schemas": schemas,
        },
    }


def _channel(topic: str, prefix: str, messages: list[str]) -> dict[str, Any]:
    configuration: dict[str, Any] = {"cleanup.policy": TOPICS[topic]["cleanup.policy"].split(",")}
    if "max.message.bytes" in TOPICS[topic]:
        configuration |= {"max.message.bytes": int(TOPICS[topic]["max.message.bytes"])}
    return {
        "address": prefix + topic,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": {"topic": prefix + topic, "topicConfiguration": configuration}},
    }


def _operations(action: str, topics: tuple[str, ...]) -> dict[str, Any]:
    return {
        f"{action}-{topic}": {"action": action, "channel": {"$ref": f"#/channels/{topic}"}}
        for topic in topics
    }


def _messages(topic: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """The message of a topic, and the other forms that it may have."""
    plain = _message(topic)
    if topic not in PUBLISHED:
        return {topic: plain}
    return {topic: plain} | forms(topic, plain, schemas[PUBLISHED[topic].__name__])


def _message(topic: str) -> dict[str, Any]:
    key = {"kafka": {"key": {"type": "string", "description": KEYS[topic]}}}
    if topic == "dead-letters":
        text = {"type": "string"}
        return {
            "summary": "What could not be read: bytes and headers unchanged, and the reason in more headers.",
            "contentType": "application/octet-stream",
            "payload": {"description": "The received bytes."},
            "headers": {
                "type": "object",
                "required": list(DEAD_LETTER_HEADERS),
                "properties": dict.fromkeys(DEAD_LETTER_HEADERS, text),
            },
            "bindings": key,
        }
    struct = PUBLISHED[topic]
    message: dict[str, Any] = {
        "summary": (struct.__doc__ or "").strip().splitlines()[0],
        "payload": {"$ref": f"#/components/schemas/{struct.__name__}"},
        "bindings": key,
    }
    headers = {"schema_version": {"type": "string", "const": SCHEMA_VERSION}} if topic in SENT else {}
    headers |= {"traceparent": TRACEPARENT} if topic in TRACED else {}
    if headers:
        message["headers"] = {"type": "object", "properties": headers}
    return message
