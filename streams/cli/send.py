"""``freshet send``: messages from a file, or from a pipe, to a topic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from encoders.errors import DataError
from encoders.events import EventType
from streams.codec import Limits, Rejected, decode_interaction, decode_item
from streams.kafka.producer import EventProducer
from streams.settings import load_settings

EVENTS = {"clicks": EventType.CLICK, "purchases": EventType.PURCHASE}
TOPICS = ("items", *EVENTS)


@click.command()
@click.argument("topic", type=click.Choice(TOPICS))
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
def send(topic: str, file: BinaryIO, config: Path | None) -> None:
    """Send messages to TOPIC, one JSON object a line of FILE, or of what is piped in.

    \b
    For example:
      freshet send items deploy/items.example.jsonl
      echo '{"event_id": "e1", "user_id": "ann", "item_id": "tent", "timestamp": 1795000000000}' |
        freshet send clicks

    Each gets its key and is checked as a worker would. The first that a worker would refuse ends the
    command; what stands before it is sent.
    """
    settings = load_settings(config)
    inputs = settings.input
    limits = Limits(inputs.max_value_bytes, round(inputs.max_future_seconds * 1000))
    with EventProducer(settings.kafka) as producer:
        for number, line in _lines(file, limits):
            try:
                producer.send(topic, keyed(topic, line, limits, time.time_ns() // 1_000_000), line)
            except DataError as error:
                producer.flush()
                raise DataError(f"line {number}: {error}; {producer.sent} sent before it") from None
    click.echo(f"{producer.sent} sent to {settings.kafka.topic_prefix}{topic}")


def keyed(topic: str, value: bytes, limits: Limits, now_ms: int) -> bytes:
    """The key of a message; raises ``DataError`` where a worker would refuse the message."""
    key = _key(topic, value) if len(value) <= limits.max_value_bytes else b""
    read = (
        decode_item(key, value, limits)
        if topic == "items"
        else decode_interaction(EVENTS[topic], key, value, now_ms, limits)
    )
    if isinstance(read, Rejected):
        raise DataError(f"{read.reason}: {read.error}")
    return key


class _Ids(msgspec.Struct):
    user_id: str = ""
    item_id: str = ""


def _key(topic: str, value: bytes) -> bytes:
    try:
        ids = msgspec.json.decode(value, type=_Ids)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return b""  # what is wrong with the value is said by the codec
    return (ids.user_id if topic in EVENTS else ids.item_id).encode(errors="surrogatepass")


def _lines(file: BinaryIO, limits: Limits) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line), empty ones left out; of an overlong one no more than is needed to refuse it."""
    number = 0
    while line := file.readline(limits.max_value_bytes + 2):
        number += 1
        if line.strip():
            yield number, line.rstrip(b"\r\n")
