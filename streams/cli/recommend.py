"""``freshet recommend``."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from rich.console import Console
from rich.table import Table

from encoders.errors import StoreError
from streams.settings import Settings, load_settings

HTTP_SECONDS = 10.0


@click.command()
@click.argument("user")
@click.option("-k", type=click.IntRange(1, 200), help="How many items; default: the setting.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def recommend(user: str, k: int | None, config: Path | None, as_json: bool) -> None:
    """Ask what USER would be recommended now.

    A user without history gets what is trending. Reads the worker's settings (FRESHET_MODEL__PATH,
    FRESHET_QDRANT__URL or __PATH). While a worker holds the in-process engine's folder, it is asked over
    its own port (FRESHET_HTTP__PORT).
    """
    settings = load_settings(config)
    try:
        answer = _from_store(settings, user, k)
    except StoreError:
        if settings.qdrant.url is not None or (asked := _from_worker(settings, user, k)) is None:
            raise
        answer = asked
    if as_json:
        click.echo(json.dumps(answer))
    else:
        Console().print(_table(answer))


def _from_store(settings: Settings, user: str, k: int | None) -> dict[str, Any]:
    from streams.api import answer_fields
    from streams.composition import model_facts, open_store, rules_of
    from streams.lookup import recommend as ask

    version, names = model_facts(settings)
    rules = rules_of(settings)
    with closing(open_store(settings.qdrant)) as store:
        answer = ask(store, names, user, rules if k is None else replace(rules, k=k))
    return answer_fields(answer, version) | {"user_id": user}


def _from_worker(settings: Settings, user: str, k: int | None) -> dict[str, Any] | None:
    """What the worker on this machine answers; ``None`` where none does."""
    import httpx

    base = f"http://{settings.http.host}:{settings.http.port}"
    url = f"{base}/recommendations/{quote(user, safe='')}"
    try:
        answer = httpx.get(url, params={} if k is None else {"k": k}, timeout=HTTP_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return None
    found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
    return found


def _table(answer: dict[str, Any]) -> Table:
    events = answer["events"]
    known = answer["basis"] == "history"
    basis = (
        f"from {events} {'event' if events == 1 else 'events'}" if known else "no history: what is trending"
    )
    table = Table(title=f"{answer['user_id']} ({basis})", caption=f"model {answer['model_version']}")
    table.add_column("#", justify="right")
    table.add_column("score", justify="right")
    table.add_column("item")
    table.add_column("title")
    for rank, one in enumerate(answer["items"], start=1):
        table.add_row(str(rank), f"{one['score']:.3f}", one["item_id"], one["title"] or "")
    return table
