"""``freshet broker``: a Kafka on this machine, for the demo or for development."""

from __future__ import annotations

import os
from pathlib import Path

import click

from encoders.errors import SettingsError


def default_data_dir() -> Path:
    """Where the local Kafka keeps its data unless told otherwise: the user's data folder."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "freshet" / "kafka"


@click.command()
@click.option("--demo", "kind", flag_value="demo", help="librdkafka's mock: pip alone, keeps nothing.")
@click.option("--kafka", "kind", flag_value="kafka", help="Apache Kafka: needs JDK 17, and Maven once.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Kafka's data. [~/.local/share/freshet/kafka]"
)
@click.option("--port", type=click.IntRange(0, 65_535), help="Kafka's port; 0 takes a free one. [9092]")
def broker(kind: str | None, data_dir: Path | None, port: int | None) -> None:
    """Run a Kafka broker on 127.0.0.1 until Ctrl-C or SIGTERM; prints its address when it answers."""
    if kind == "demo":
        _run_demo(data_dir, port)
    elif kind == "kafka":
        _run_kafka(data_dir or default_data_dir(), 9092 if port is None else port)
    else:
        raise SettingsError("choose one: `freshet broker --demo` or `freshet broker --kafka`")


def _run_demo(data_dir: Path | None, port: int | None) -> None:
    from streams.kafka.demo_broker import serve

    if data_dir is not None:
        raise SettingsError("--data-dir: the demo broker keeps nothing; use --kafka for data that stays")
    if port:
        raise SettingsError("--port: the demo broker picks its own port and prints it; use --kafka to choose")
    serve()


def _run_kafka(data_dir: Path, port: int) -> None:
    from streams.kafka.jars import find_jars, has_kafka, jars_folder, kafka_version
    from streams.kafka.local_broker import LocalKafka
    from streams.kafka.processes import stop_signals

    if not has_kafka(jars_folder()):
        click.echo(f"fetching Apache Kafka {kafka_version()} by Maven, once, into {jars_folder()}", err=True)
        find_jars()
    with stop_signals() as stopped, LocalKafka(data_dir, port) as kafka:
        click.echo(f"Apache Kafka {kafka_version()}, data in {kafka.data_dir}\n{kafka.bootstrap_servers}")
        while not stopped.wait(0.5):
            kafka.check()
