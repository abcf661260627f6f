"""``freshet recommend``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
from rich.console import Console
from rich.table import Table

from encoders.errors import BrokerError, SettingsError
from streams.settings import Settings, load_settings

if TYPE_CHECKING:
    from streams.messages import ModelRelease

HTTP_SECONDS = 10.0


@click.command()
@click.argument("user")
@click.option("-k", type=click.IntRange(1, 200), help="How many items; default: as the scenario says.")
@click.option("--scenario", default="home", show_default=True, help="A scenario of the configuration.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="RULE",
    help="A rule that every item must pass, for example price<=20 or category!=Toys; may be repeated.",
)
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def recommend(
    user: str, k: int | None, scenario: str, filters: tuple[str, ...], config: Path | None, as_json: bool
) -> None:
    """Ask what USER would be recommended now.

    A user without history gets what is trending. Asks the worker on this machine (FRESHET_HTTP__PORT); where
    none answers, reads the store itself (FRESHET_QDRANT__URL or __PATH), with the model that is released, or
    the one in FRESHET_MODEL__PATH.
    """
    settings = load_settings(config)
    asked: dict[str, Any] = {"scenario": scenario, "filter": list(filters)} | ({} if k is None else {"k": k})
    answer = _from_worker(settings, user, asked) or _from_store(settings, user, asked)
    if as_json:
        click.echo(json.dumps(answer))
    else:
        Console().print(_table(answer))


def _from_store(settings: Settings, user: str, asked: dict[str, Any]) -> dict[str, Any]:
    from streams.api import answer_fields
    from streams.lookup import recommend as ask
    from streams.opening import open_reading
    from streams.rules import parse_filters
    from streams.scenario_settings import scenarios_of
    from streams.scenarios import narrowed

    try:
        scenario = narrowed(scenarios_of(settings)[asked["scenario"]], parse_filters(asked["filter"]))
    except KeyError:
        known = ", ".join(settings.scenarios)
        raise SettingsError(f"there is no scenario {asked['scenario']!r}: there are {known}") from None
    except ValueError as error:
        raise SettingsError(str(error)) from None
    scenario = replace(scenario, k=asked.get("k", scenario.k))
    with open_reading(settings, _release(settings)) as (store, generation, elsewhere):
        answer = ask(store, generation, user, scenario, elsewhere)
    return answer_fields(answer, scenario, generation.version) | {"user_id": user}


def _release(settings: Settings) -> ModelRelease | None:
    """What is released; ``None``, and a line on stderr, where no broker tells."""
    from streams.releases.release import released

    try:
        return released(settings)[1]
    except BrokerError as error:
        click.echo(f"what is released is not known, FRESHET_MODEL__PATH is used: {error}", err=True)
        return None


def _from_worker(settings: Settings, user: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    """What the worker on this machine answers; ``None`` where none does. Raises what it refuses."""
    import httpx

    url = f"http://{settings.http.host}:{settings.http.port}/recommendations/{quote(user, safe='')}"
    try:
        response = httpx.get(url, params=asked, timeout=HTTP_SECONDS, trust_env=False)
        body = response.json()
    except (httpx.HTTPError, ValueError):
        return None
    if response.status_code == 400 and isinstance(body, dict) and "error" in body:
        raise SettingsError(str(body["error"].get("message")))
    return body if response.status_code == 200 and "items" in body else None


def _table(answer: dict[str, Any]) -> Table:
    events = answer["events"]
    known = answer["basis"] == "history"
    basis = (
        f"from {events} {'event' if events == 1 else 'events'}" if known else "no history: what is trending"
    )
    title = f"{answer['user_id']}, {answer['scenario']} ({basis})"
    table = Table(title=title, caption=f"model {answer['model_version']}")
    table.add_column("#", justify="right")
    table.add_column("score", justify="right")
    table.add_column("item")
    table.add_column("title")
    table.add_column("why")
    for rank, one in enumerate(answer["items"], start=1):
        table.add_row(
            str(rank), f"{one['score']:.3f}", one["item_id"], one["title"] or "", _why(one["reason"])
        )
    return table


def _why(reason: dict[str, Any]) -> str:
    words = str(reason["kind"]).replace("_", " ")
    return f"{words} {reason['item_id']}" if reason.get("item_id") else words
