"""Avro schemas of our messages, made from the structs that validate them. Pure; knows no Avro library.

``context`` and ``attributes`` (any JSON) have no Avro type and are left out; whatever else a writer's schema
has and ours has not is ignored.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from streams.messages import PUBLISHED

NAMESPACE = "freshet"
TOPICS = ("items", "clicks", "purchases", "recommendations")
"""Topics whose values may be Avro."""
Schema = dict[str, Any]
MILLISECONDS: Schema = {"type": "long", "logicalType": "timestamp-millis"}


def avro_schemas() -> dict[str, Schema]:
    """The schema of each topic's values."""
    return {topic: avro_schema(PUBLISHED[topic]) for topic in TOPICS}


def avro_schema(struct: type[msgspec.Struct]) -> Schema:
    """The record of a struct; structs inside are defined where they come first."""
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    record = _record(kind, set())
    assert isinstance(record, dict)
    return record


def _record(kind: inspect.StructType, defined: set[str]) -> Schema | str:
    name = kind.cls.__name__.removesuffix("Message")
    if name in defined:
        return f"{NAMESPACE}.{name}"
    defined.add(name)
    fields = [_field(one, defined) for one in kind.fields]
    doc = (kind.cls.__doc__ or "").strip().splitlines()[0]
    kept = [one for one in fields if one is not None]
    return {"type": "record", "name": name, "namespace": NAMESPACE, "doc": doc, "fields": kept}


def _field(field: inspect.Field, defined: set[str]) -> Schema | None:
    made = _type(field.type, defined)
    if made is None:
        return None
    entry: Schema = {"name": field.encode_name, "type": made}
    if not field.required:
        default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        entry["default"] = default
    return entry


def _type(kind: inspect.Type, defined: set[str]) -> Any:
    """The Avro type; ``None`` where there is none."""
    match kind:
        case inspect.Metadata():
            return _type(kind.type, defined)
        case inspect.UnionType():
            return _union(kind, defined)
        case inspect.StructType():
            return _record(kind, defined)
        case inspect.ListType():
            return {"type": "array", "items": _type(kind.item_type, defined)}
        case inspect.BoolType():
            return "boolean"
        case inspect.IntType():
            return "long"
        case inspect.FloatType():
            return "double"
        case inspect.StrType() | inspect.LiteralType():
            return "string"
        case _:
            return None


def _union(kind: inspect.UnionType, defined: set[str]) -> Any:
    """A value or nothing; a time is milliseconds, whether the struct takes text as well."""
    members = [one.type if isinstance(one, inspect.Metadata) else one for one in kind.types]
    if any(isinstance(one, inspect.DateTimeType) for one in members):
        made: Any = MILLISECONDS
    else:
        made = _type(next(one for one in members if not isinstance(one, inspect.NoneType)), defined)
    nullable = any(isinstance(one, inspect.NoneType) for one in members)
    return None if made is None else ["null", made] if nullable else made
