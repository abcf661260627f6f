"""``freshet schema``."""

from __future__ import annotations

import json

import click

from streams.asyncapi import document
from streams.avro_schema import avro_schemas
from streams.messages import json_schema


@click.command()
@click.option("--asyncapi", is_flag=True, help="AsyncAPI 3: topics, keys and headers as well.")
@click.option("--avro", is_flag=True, help="Avro schemas of items, events and recommendations.")
@click.option("--topic-prefix", default="", help="With --asyncapi: what comes before each topic's name.")
def schema(asyncapi: bool, avro: bool, topic_prefix: str) -> None:
    """Print the JSON Schema of every topic's messages.

    \b
    For example, to validate or generate a producer:
      freshet schema > freshet-messages.json
      freshet schema --asyncapi > freshet-asyncapi.json
      freshet schema --avro | jq .clicks > clicks.avsc
    """
    if asyncapi and avro:
        raise click.UsageError("--asyncapi and --avro are two outputs: ask for one of them")
    printed = document(topic_prefix) if asyncapi else avro_schemas() if avro else json_schema()
    click.echo(json.dumps(printed, indent=2))
