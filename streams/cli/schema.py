"""``freshet schema``."""

from __future__ import annotations

import json

import click

from streams.asyncapi import document
from streams.messages import json_schema


@click.command()
@click.option("--asyncapi", is_flag=True, help="AsyncAPI 3: topics, keys and headers as well.")
@click.option("--topic-prefix", default="", help="With --asyncapi: what comes before each topic's name.")
def schema(asyncapi: bool, topic_prefix: str) -> None:
    """Print the JSON Schema of every topic's messages.

    \b
    For example, to validate or generate a producer:
      freshet schema > freshet-messages.json
      freshet schema --asyncapi > freshet-asyncapi.json
    """
    click.echo(json.dumps(document(topic_prefix) if asyncapi else json_schema(), indent=2))
