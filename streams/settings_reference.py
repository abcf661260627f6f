"""The configuration reference, written from the settings; ``freshet config reference`` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from pydantic.fields import FieldInfo

from streams.settings import ScenarioSettings, Section, Settings

HEAD = """\
# Configuration

Every setting has a default. The environment beats the TOML file that `FRESHET_CONFIG` or `--config` names;
secrets may lie in files, one a variable, in the folder `FRESHET_SECRETS_DIR`.
[freshet.example.toml](../deploy/freshet.example.toml) is all of this as a file to copy. `freshet config
check` reads what would hold and says what is wrong with it; `freshet config show` prints it, less the
secrets. This page is what `freshet config reference` prints.
"""
SCENARIOS = (
    "Scenarios are tables of their own, `[scenarios.NAME]` in the file (see [scenarios.md](scenarios.md))."
)


def reference() -> str:
    """The whole page, Markdown."""
    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        if name == "scenarios":
            parts.append(_section("scenarios.NAME", ScenarioSettings, "FRESHET_SCENARIOS", SCENARIOS))
        else:
            assert isinstance(field.annotation, type)
            parts.append(_section(name, field.annotation, f"FRESHET_{name.upper()}__"))
    return "\n".join(parts)


def _section(name: str, section: type[Section], prefix: str, more: str = "") -> str:
    about = (section.__doc__ or "").strip().splitlines()[0]
    lines = ["", f"## [{name}]", "", about, *([more] if more else []), ""]
    lines += ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(section, prefix)]
    return "\n".join(lines)


def _rows(section: type[Section], prefix: str) -> Iterator[tuple[str, ...]]:
    schema = section.model_json_schema()
    for name, field in section.model_fields.items():
        variable = f"`{prefix}{name.upper()}`" if prefix.endswith("__") else f"`{name}`"
        allowed = _allowed(_resolved(schema["properties"][name], schema))
        yield variable, _default(field), allowed, (field.description or "").replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (list, tuple)):
        return ", ".join(f"`{one}`" for one in value) or "none"
    return f"`{value.as_posix() if isinstance(value, PurePath) else value}`" if value != "" else "empty"


def _resolved(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """What a setting may be besides none, without references."""
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    chosen: dict[str, Any] = options[0]
    if "$ref" in chosen:
        chosen = whole["$defs"][chosen["$ref"].rpartition("/")[2]]
    return chosen


def _allowed(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (
            ("exclusiveMinimum", ">"),
            ("minimum", "≥"),
            ("exclusiveMaximum", "<"),
            ("maximum", "≤"),
        )
        if key in schema
    ]
    kind = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`", "array": "list"}
    named = "path" if schema.get("format") == "path" else kind.get(schema.get("type", ""), "text")
    if schema.get("format") == "password":
        named = "secret"
    return " ".join([named, ", ".join(bounds)]).strip()
