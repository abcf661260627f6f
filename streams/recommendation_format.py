"""A recommendation as it leaves: JSON or Avro, with or without the headers of a CloudEvent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from exporters.publisher import Headers, Outgoing
from streams.avro_schema import avro_schema
from streams.cloudevents import recommendation_headers
from streams.codec import Limits, ReadsAvro, Rejected, parse
from streams.messages import SCHEMA_VERSION, Recommendation
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.avro import AvroWriter

TOPIC = "recommendations"
HEADERS = (("schema_version", SCHEMA_VERSION.encode()),)
_json = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Recommendation)


@dataclass(frozen=True, slots=True)
class RecommendationFormat:
    """How recommendations are written; without anything: JSON."""

    avro: AvroWriter | None = None
    source: str | None = None
    """The ``ce_source`` of CloudEvents; ``None``: they are none."""

    def outgoing(self, message: Recommendation) -> Outgoing:
        """The message for ``recommendations``."""
        value = _json.encode(message) if self.avro is None else self.avro.write(message)
        headers: Headers = HEADERS
        if self.source is not None:
            content_type = "application/json" if self.avro is None else "application/avro"
            headers = [*HEADERS, *recommendation_headers(message, self.source, content_type)]
        return Outgoing(TOPIC, message.user_id.encode(), value, headers)


def read_recommendation(value: bytes, avro: ReadsAvro | None) -> Recommendation | Rejected:
    """A message of ``recommendations``, as its consumers read it; ``avro`` as in ``streams.codec``."""
    if avro is None or value[:1] != b"\0":
        return parse(_decoder, value, Limits(len(value)))
    fields = avro.read(value)
    try:
        return fields if isinstance(fields, Rejected) else msgspec.convert(fields, Recommendation)
    except msgspec.ValidationError as error:
        return Rejected("schema", str(error))


def open_format(settings: Settings) -> RecommendationFormat:
    """As the settings say; for Avro our schema is registered, or found where it is.

    Under ``<topic>-value``. Raises ``SettingsError`` without the extra ``avro``, ``BrokerUnavailable`` where
    the registry does not answer, and ``BrokerError`` where it refuses.
    """
    codec = settings.codec
    source = codec.source if codec.cloudevents else None
    if codec.format == "json":
        return RecommendationFormat(source=source)
    from streams.avro import AvroWriter
    from streams.schema_registry import SchemaRegistry

    schema, subject = avro_schema(Recommendation), f"{settings.kafka.topic_prefix}{TOPIC}-value"
    registry = SchemaRegistry(codec)
    ask = registry.register if codec.register_schema else registry.find
    return RecommendationFormat(AvroWriter(schema, ask(subject, schema)), source)
