"""``freshet models``: which versions there are, which one serves, and how another takes over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from encoders.errors import BrokerError, ModelError
from exporters.model_manifest import MANIFEST, Manifest, read_manifest
from streams.cli.model import print_model
from streams.messages import ModelRelease
from streams.releases.release import Mode, find_version, release, released, rollback, verified
from streams.settings import Settings, load_settings

CONFIG = click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def models() -> None:
    """Say which version of the model serves, and let another take over without a pause.

    The running workers load it in the background, verify it, and change over between two events; users keep
    their histories. `freshet models rollback` goes back within seconds. Settings: FRESHET_MODEL__PATH (the
    folder of versions) and FRESHET_KAFKA__*. docs/releases.md tells the whole story.

    \b
    Example:
      freshet models list
      freshet models promote 20261122-1a2b3c4d --shadow        # scored beside the champion, not published
      freshet models promote 20261122-1a2b3c4d --canary 0.1    # answers a tenth of the users
      freshet models promote 20261122-1a2b3c4d                 # takes over
      freshet models rollback
    """


@models.command("list")
@CONFIG
@JSON
def list_versions(config: Path | None, as_json: bool) -> None:
    """List the versions in FRESHET_MODEL__PATH, and what is released."""
    settings = load_settings(config)
    current, unread = _released(settings)
    found = [_row(manifest, current) for manifest in _manifests(settings.model.path)]
    if as_json:
        click.echo(json.dumps({"release": _fields(current), "versions": found}))
        return
    table = Table("version", "role", "created", "parent", "trained")
    for row in found:
        table.add_row(row["version"], row["role"], row["created_at"], row["parent"] or "", row["trained"])
    Console().print(table)
    click.echo(unread or _sentence(current))


@models.command()
@click.argument("version")
@CONFIG
@JSON
def show(version: str, config: Path | None, as_json: bool) -> None:
    """Verify VERSION (a name, or a location) and print what it is: digests, graphs, golden vector."""
    settings = load_settings(config)
    place = version if "/" in version else find_version(settings, version, _released(settings)[0])
    fetched = verified(settings, place)
    print_model(fetched.folder, as_json)


@models.command()
@click.argument("version")
@click.option("--shadow", is_flag=True, help="As challenger: scored and compared, not published.")
@click.option(
    "--canary", type=click.FloatRange(0, 1, min_open=True), help="As challenger: answers this share of users."
)
@CONFIG
@JSON
def promote(version: str, shadow: bool, canary: float | None, config: Path | None, as_json: bool) -> None:
    """Release VERSION (a name, or a location that fsspec reads): champion, unless --shadow or --canary.

    It is fetched, verified and loaded here first; workers do the same and refuse what they cannot use, with
    a reason in their log and in freshet_release_refusals_total.
    """
    if shadow and canary is not None:
        raise click.UsageError("a challenger is in the shadow or a canary: name one of --shadow and --canary")
    mode: Mode = "shadow" if shadow else "none" if canary is None else "canary"
    settings = load_settings(config)
    place = version if "/" in version else find_version(settings, version, _released(settings)[0])
    _print(release(settings, place, mode=mode, canary_share=canary or 0.0), as_json)


@models.command("rollback")
@CONFIG
@JSON
def roll_back(config: Path | None, as_json: bool) -> None:
    """Release the champion before the present one again, under a new number; a challenger is dropped."""
    _print(rollback(load_settings(config)), as_json)


def _released(settings: Settings) -> tuple[ModelRelease | None, str]:
    """What is released, or a sentence that says why nobody knows."""
    try:
        return released(settings)[1], ""
    except BrokerError as error:
        return None, f"What is released is not known: {error}"


def _manifests(path: Path) -> Iterator[Manifest]:
    """Of every version in a models folder, the newest first; of the one version where ``path`` is that."""
    folder = path.parent if (path / MANIFEST).is_file() else path
    found = []
    for place in folder.glob(f"[!.]*/{MANIFEST}"):
        try:
            found.append(read_manifest(place.parent))
        except ModelError as error:
            click.echo(f"freshet: {error}", err=True)
    yield from sorted(found, key=lambda one: one.created_at, reverse=True)


def _row(manifest: Manifest, current: ModelRelease | None) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "role": _role(manifest.version, current),
        "created_at": manifest.created_at,
        "parent": manifest.parent,
        "trained": ", ".join(manifest.trained),
    }


def _role(version: str, current: ModelRelease | None) -> str:
    if current is None:
        return ""
    if version == current.champion.version:
        return "champion"
    if current.challenger is not None and version == current.challenger.version:
        return current.mode if current.mode == "shadow" else f"canary {current.canary_share:.0%}"
    return "earlier champion" if version in current.lineage else ""


def _fields(current: ModelRelease | None) -> Any:
    return None if current is None else msgspec.to_builtins(current)


def _sentence(current: ModelRelease | None) -> str:
    if current is None:
        return "Nothing is released: workers serve what FRESHET_MODEL__PATH names."
    beside = ""
    if current.challenger is not None:
        beside = f", {current.challenger.version} beside it ({_role(current.challenger.version, current)})"
    return f"Release {current.number} of {current.model}: {current.champion.version} serves{beside}."


def _print(released: ModelRelease, as_json: bool) -> None:
    click.echo(json.dumps(_fields(released)) if as_json else _sentence(released))
