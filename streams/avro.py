"""Avro in Confluent's wire format: a zero byte, the schema's id (4 bytes, big-endian), the record.

A value is read by the schema it was written with, and then validated as JSON is, by our structs: unknown
fields are ignored, missing ones get their defaults, limits hold. Needs the extra ``avro`` (fastavro).
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from decimal import Decimal
from io import BytesIO
from math import isfinite
from typing import Any
from uuid import UUID

import fastavro
import msgspec

from streams.codec import Rejected

MAGIC = b"\0"
HEADER_BYTES = 5
CACHED_SCHEMAS = 1_000
UNKNOWN_SECONDS = 10.0
"""A schema that was not there is asked for again after this long."""

Fetch = Callable[[int], str | Rejected]
"""A schema's text by its id, or why it cannot be used; may block, raises ``BrokerUnavailable``."""
Schema = dict[str, Any]


class AvroReader:
    """Reads values by the schemas that their writers registered; each is fetched once. Thread-safe."""

    def __init__(self, fetch: Fetch, seconds: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._seconds = seconds
        self._lock = threading.Lock()
        self._schemas: OrderedDict[int, tuple[Schema | Rejected, float]] = OrderedDict()

    def unknown(self, values: Iterable[bytes | None]) -> set[int]:
        """Ids of schemas that must be fetched before these values can be read."""
        ids = {_schema_id(value) for value in values if value and value[:1] == MAGIC}
        return {one for one in ids if one is not None and self._known(one) is None}

    def learn(self, ids: Iterable[int]) -> None:
        """Fetch these schemas; blocks. Raises ``BrokerUnavailable`` where the registry does not answer."""
        for schema_id in sorted(ids):
            text = self._fetch(schema_id)
            schema = text if isinstance(text, Rejected) else parse_schema(schema_id, text)
            expires = self._seconds() + UNKNOWN_SECONDS if isinstance(schema, Rejected) else float("inf")
            with self._lock:
                self._schemas[schema_id] = (schema, expires)
                while len(self._schemas) > CACHED_SCHEMAS:
                    self._schemas.popitem(last=False)

    def read(self, value: bytes) -> dict[str, Any] | Rejected:
        """The fields of a value, those that are null left out; blocks where its schema is not known yet."""
        schema_id = _schema_id(value)
        if schema_id is None:
            return Rejected("malformed_avro", f"{len(value)} bytes hold no schema id")
        schema = self._known(schema_id)
        if schema is None:
            self.learn([schema_id])
            schema = self._known(schema_id) or Rejected("unknown_schema", f"schema {schema_id} is gone")
        if isinstance(schema, Rejected):
            return schema
        return _read(schema, value)

    def _known(self, schema_id: int) -> Schema | Rejected | None:
        with self._lock:
            schema, expires = self._schemas.get(schema_id, (None, 0.0))
            if schema is None or self._seconds() >= expires:
                return None
            self._schemas.move_to_end(schema_id)
            return schema


def _schema_id(value: bytes) -> int | None:
    return int.from_bytes(value[1:HEADER_BYTES], "big") if len(value) >= HEADER_BYTES else None


def _read(schema: Schema, value: bytes) -> dict[str, Any] | Rejected:
    body = BytesIO(value)
    body.seek(HEADER_BYTES)
    try:
        fields = fastavro.schemaless_reader(body, schema, None)
    except Exception as error:  # It raises whatever the bytes make it stumble over.
        return Rejected("malformed_avro", f"not a record of its schema: {type(error).__name__}: {error}")
    if body.tell() != len(value):
        return Rejected("malformed_avro", f"{len(value) - body.tell()} bytes follow the record")
    assert isinstance(fields, dict)
    plain = {name: _plain(field) for name, field in fields.items() if field is not None}
    wild = [name for name, field in plain.items() if isinstance(field, float) and not isfinite(field)]
    return Rejected("schema", f"{wild[0]} is no finite number") if wild else plain


def _plain(field: Any) -> Any:
    """Logical types as JSON would have them."""
    if isinstance(field, UUID):
        return str(field)
    return float(field) if isinstance(field, Decimal) else field


def parse_schema(schema_id: int, text: str) -> Schema | Rejected:
    """A schema ready to read by, where it is a record whose values cannot be larger than their bytes."""
    try:
        schema = json.loads(text)
        if not isinstance(schema, dict) or schema.get("type") != "record":
            return Rejected("unknown_schema", f"schema {schema_id} is no record")
        _check_bounded(schema, {})
        parsed = fastavro.parse_schema(schema)
    except (ValueError, KeyError, TypeError, RecursionError, fastavro.schema.SchemaParseException) as error:
        return Rejected("unknown_schema", f"schema {schema_id} cannot be used: {error}")
    assert isinstance(parsed, dict)
    return parsed


def _check_bounded(schema: Any, least: dict[str, int | None], namespace: str = "") -> int:
    """The fewest bytes that a value takes.

    Raises ``ValueError`` for a type inside itself, whose values may nest without end, and for an array of
    what takes no bytes, which a few bytes can make endless. ``least`` has the named types; ``None``: open.
    """
    if isinstance(schema, list):
        for one in schema:
            _check_bounded(one, least, namespace)
        return 1
    if isinstance(schema, str):
        return _check_named(schema, least, namespace)
    kind = schema["type"]
    if kind in ("record", "error", "enum", "fixed"):
        return _check_definition(schema, least, namespace)
    if kind == "array":
        if _check_bounded(schema["items"], least, namespace) == 0:
            raise ValueError("it has an array of values without bytes")
        return 1
    if kind == "map":
        _check_bounded(schema["values"], least, namespace)
        return 1
    return _check_bounded(kind, least, namespace)


def _check_named(name: str, least: dict[str, int | None], namespace: str) -> int:
    found = name if name in least or "." in name or not namespace else f"{namespace}.{name}"
    if found not in least:
        return 0 if name == "null" else 1
    bytes_ = least[found]
    if bytes_ is None:
        raise ValueError(f"its type {found} is inside itself")
    return bytes_


def _check_definition(schema: Schema, least: dict[str, int | None], namespace: str) -> int:
    name, own = schema["name"], schema.get("namespace", namespace)
    full = name if "." in name or not own else f"{own}.{name}"
    inside = full.rpartition(".")[0]
    if schema["type"] == "enum":
        least[full] = 1
    elif schema["type"] == "fixed":
        least[full] = schema["size"]
    else:
        least[full] = None
        least[full] = sum(_check_bounded(one["type"], least, inside) for one in schema["fields"])
    return least[full] or 0


class AvroWriter:
    """Writes messages of one struct by a schema that is registered as ``schema_id``."""

    def __init__(self, schema: Schema, schema_id: int) -> None:
        self._schema = fastavro.parse_schema(schema)
        self._prefix = MAGIC + schema_id.to_bytes(4, "big")

    def write(self, message: msgspec.Struct) -> bytes:
        """The message in the wire format."""
        body = BytesIO()
        body.write(self._prefix)
        fastavro.schemaless_writer(body, self._schema, msgspec.to_builtins(message))
        return body.getvalue()
