"""``freshet schema``."""

from __future__ import annotations

import json

import click

from streams.messages import json_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of every topic's messages.

    For example: `freshet schema > freshet-messages.json`, to validate or generate a producer.
    """
    click.echo(json.dumps(json_schema(), indent=2))
