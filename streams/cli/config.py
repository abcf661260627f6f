"""``freshet config``: what would hold, what is wrong with it, and what there is to set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from pydantic_core import to_jsonable_python

from streams.scenario_settings import DEFAULTS
from streams.settings import ScenarioSettings, Settings, load_settings
from streams.settings_reference import reference

CONFIG = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings, a TOML file."
)


@click.group()
def config() -> None:
    """Check, show and explain the settings.

    They come from the environment (FRESHET_<SECTION>__<NAME>), then from a TOML file.
    """


@config.command()
@CONFIG
def check(config: Path | None) -> None:
    """Read the settings as a worker would; wrong ones are named, each with its variable, and exit code 2.

    \b
    Example:
      FRESHET_CONFIG=freshet.toml freshet config check
    """
    changed = _changed(load_settings(config))
    what = ", ".join(f"{section}.{name}" for section, name in changed)
    click.echo(f"The settings hold. Other than the defaults: {what or 'nothing'}.")


@config.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--all", "everything", is_flag=True, help="The defaults as well.")
def show(config: Path | None, as_json: bool, everything: bool) -> None:
    """Print the settings that differ from the defaults; secrets are stars."""
    settings = load_settings(config)
    tables: dict[str, dict[str, Any]] = to_jsonable_python(settings.model_dump())
    if not everything:
        kept: dict[str, dict[str, Any]] = {}
        for section, name in _changed(settings):
            kept.setdefault(section, {})[name] = tables[section][name]
        tables = kept
    if as_json:
        click.echo(json.dumps(tables))
        return
    for section, values in tables.items():
        for name, value in values.items():
            click.echo(f"{section}.{name} = {json.dumps(value)}")


@config.command(name="reference")
def print_reference() -> None:
    """Print every setting with its default and meaning, as Markdown (docs/configuration.md)."""
    click.echo(reference(), nl=False)


def _changed(settings: Settings) -> list[tuple[str, str]]:
    """(section, setting) of all that differ from the defaults."""
    usual = {name: dict(field.default) for name, field in Settings.model_fields.items()}
    usual["scenarios"] = {name: ScenarioSettings(**values) for name, values in DEFAULTS.items()}
    return [
        (section, name)
        for section, defaults in usual.items()
        for name, value in dict(getattr(settings, section)).items()
        if name not in defaults or value != defaults[name]
    ]
