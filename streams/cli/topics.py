"""``freshet topics``: make and check the topics that Freshet needs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from encoders.errors import BrokerError
from streams.kafka.topics import TopicState, ensure_topics, faults, read_topics
from streams.settings import KafkaSettings, load_settings


@click.group()
def topics() -> None:
    """Make and check the topics that Freshet needs."""


@topics.command()
@click.option("--config", type=click.Path(path_type=Path), help="Settings, a TOML file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def create(config: Path | None, as_json: bool) -> None:
    """Create the topics that are missing, then check all of them."""
    settings = load_settings(config).kafka.model_copy(update={"create_topics": True})
    _report(ensure_topics(settings), [], as_json)


@topics.command()
@click.option("--config", type=click.Path(path_type=Path), help="Settings, a TOML file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(config: Path | None, as_json: bool) -> None:
    """Say what the topics are, and what is wrong with them; the exit code is 6 where something is."""
    settings: KafkaSettings = load_settings(config).kafka
    states = read_topics(settings)
    found = faults(states, settings)
    _report(states, found, as_json)
    if found:
        raise BrokerError("; ".join(found))


def _report(states: list[TopicState], found: list[str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"topics": [asdict(state) for state in states], "faults": found}))
        return
    table = Table("topic", "partitions", "replicas", "cleanup.policy", "max.message.bytes")
    for state in states:
        unknown = "not told"
        policy = state.config.get("cleanup.policy", unknown)
        limit = state.config.get("max.message.bytes", unknown)
        table.add_row(state.name, str(state.partitions), str(state.replication_factor), policy, limit)
    Console().print(table)
