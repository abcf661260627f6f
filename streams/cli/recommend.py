"""``freshet recommend``."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from streams.lookup import Answer
from streams.settings import load_settings


@click.command()
@click.argument("user")
@click.option("-k", type=click.IntRange(1, 200), help="How many items; default: the setting.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def recommend(user: str, k: int | None, config: Path | None, as_json: bool) -> None:
    """Ask the store what USER would be recommended now.

    A user without history gets what is trending. Uses the same settings as the worker
    (FRESHET_MODEL__PATH, FRESHET_QDRANT__URL or __PATH); the in-process engine serves one process
    at a time, so stop the worker first or use a server.
    """
    from streams.composition import model_facts, open_store, rules_of
    from streams.lookup import recommend as ask

    settings = load_settings(config)
    version, names = model_facts(settings)
    rules = rules_of(settings)
    with closing(open_store(settings.qdrant)) as store:
        answer = ask(store, names, user, rules if k is None else replace(rules, k=k))
    if as_json:
        click.echo(json.dumps(_fields(user, answer, version)))
    else:
        Console().print(_table(user, answer, version))


def _fields(user: str, answer: Answer, version: str) -> dict[str, object]:
    items = [
        {"item_id": one.item_id, "score": one.score, "title": record.title if record else None}
        for one, record in zip(answer.items, answer.records, strict=True)
    ]
    facts = {"user_id": user, "basis": answer.basis, "events": answer.events}
    return facts | {"model_version": version, "items": items}


def _table(user: str, answer: Answer, version: str) -> Table:
    basis = f"from {answer.events} events" if answer.basis == "history" else "no history: what is trending"
    table = Table(title=f"{user} ({basis})", caption=f"model {version}")
    table.add_column("#", justify="right")
    table.add_column("score", justify="right")
    table.add_column("item")
    table.add_column("title")
    for rank, (one, record) in enumerate(zip(answer.items, answer.records, strict=True), start=1):
        table.add_row(str(rank), f"{one.score:.3f}", one.item_id, record.title if record else "")
    return table
