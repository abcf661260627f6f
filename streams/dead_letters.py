"""What is set aside: the bytes and headers as received, and headers that say where from and why. Pure."""

from __future__ import annotations

from importlib.metadata import version

from exporters.publisher import Outgoing
from streams.fold_types import DeadLetter
from streams.messages import SCHEMA_VERSION

TOPIC = "dead-letters"
APP_VERSION = version("freshet")
MAX_ERROR_BYTES = 1_000


def dead_letter(letter: DeadLetter) -> Outgoing:
    """The message for ``dead-letters``: the headers as received, then ours, whose values are UTF-8 text.

    Of two headers of one name Kafka's clients take the last: ours.
    """
    received, rejected = letter.received, letter.rejected
    headers = {
        "topic": received.topic,
        "partition": str(received.partition),
        "offset": str(received.offset),
        "reason": rejected.reason,
        "error": rejected.error,
        "app_version": APP_VERSION,
        "schema_version": SCHEMA_VERSION,
    }
    return Outgoing(
        topic=TOPIC,
        key=received.key,
        value=received.value,
        headers=[*received.headers, *((name, _bounded(text)) for name, text in headers.items())],
    )


def _bounded(text: str) -> bytes:
    """The text as at most ``MAX_ERROR_BYTES`` of UTF-8, no character cut in two."""
    return text.encode(errors="replace")[:MAX_ERROR_BYTES].decode(errors="ignore").encode()
