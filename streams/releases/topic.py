"""The topic ``model-releases``: what is released, and how it changes without two changes getting mixed up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

import msgspec

from encoders.errors import BrokerUnavailable
from streams.kafka.producer import EventProducer
from streams.kafka.reader import Record, read
from streams.messages import SCHEMA_VERSION, ModelRelease
from streams.settings import KafkaSettings

log = logging.getLogger(__name__)

TOPIC = "model-releases"
ATTEMPTS = 5
MAX_BYTES = 1_048_576
_decoder = msgspec.json.Decoder(ModelRelease)

Change = Callable[[ModelRelease | None], ModelRelease]
"""From what is released now to what shall be; the number is given by :func:`publish`."""


def read_releases(settings: KafkaSettings) -> dict[str, ModelRelease]:
    """What is released of each model, by its name; blocks.

    Raises ``BrokerError`` where the topic is missing, ``BrokerUnavailable`` where no broker answers.
    """
    return newest(decode_release(record) for record in read(settings, TOPIC))


def newest(releases: Iterable[ModelRelease | None]) -> dict[str, ModelRelease]:
    """The release with the highest number of each model; of equal numbers the one that came first."""
    found: dict[str, ModelRelease] = {}
    for one in releases:
        if one is not None and (one.model not in found or found[one.model].number < one.number):
            found[one.model] = one
    return found


def decode_release(record: Record) -> ModelRelease | None:
    """Read a message; ``None``, and a line in the log, where it is no release of the model it is keyed by."""
    try:
        if record.value is None or len(record.value) > MAX_BYTES:
            raise msgspec.ValidationError("no value, or one that is too large")
        release = _decoder.decode(record.value)
        if release.model.encode() != record.key:
            raise msgspec.ValidationError("its key is not the model's name")
    except (msgspec.MsgspecError, UnicodeError) as error:
        log.warning("%s %d:%d is not a release: %s", TOPIC, record.partition, record.offset, error)
        return None
    return release


def publish(settings: KafkaSettings, model: str, change: Change) -> ModelRelease:
    """Publish a change of what is released of ``model``, under the next number; blocks until it holds.

    Who publishes the same number later than somebody else has lost, and changes what the other one released.
    Raises what ``change`` raises, ``BrokerError`` and ``BrokerUnavailable``.
    """
    for _ in range(ATTEMPTS):
        current = read_releases(settings).get(model)
        number = current.number + 1 if current else 1
        wanted = msgspec.structs.replace(
            change(current), model=model, number=number, released_at=time.time_ns() // 1_000_000
        )
        with EventProducer(settings) as producer:
            headers = [("schema_version", SCHEMA_VERSION.encode())]
            producer.send(TOPIC, model.encode(), msgspec.json.encode(wanted), headers)
        if read_releases(settings).get(model) == wanted:
            return wanted
    raise BrokerUnavailable(f"others release {model} all the time: try again")
