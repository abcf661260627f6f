"""``freshet worker``."""

from __future__ import annotations

import os
from pathlib import Path

import click

# Before anything loads numpy. Threads of BLAS that wait for each other spin: on a core that Kafka shares they
# cost more than they save (a batch's scan took 200 µs of CPU a user with two threads, 110 with one).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from streams.logs import configure_logging
from streams.settings import load_settings


@click.command()
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
def worker(config: Path | None) -> None:
    """Consume clicks and purchases, keep interest vectors, publish recommendations.

    \b
    Settings come from the environment or a TOML file, for example:
        FRESHET_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:9092 \\
        FRESHET_MODEL__PATH=models FRESHET_QDRANT__PATH=data/qdrant freshet worker

    Start more workers to share the load: Kafka divides the partitions among them (they then need a Qdrant
    server, FRESHET_QDRANT__URL). Stop with Ctrl-C or SIGTERM; a killed worker's events are read again.
    """
    settings = load_settings(config)

    from streams.worker import run_worker

    configure_logging(settings.log)
    run_worker(settings)
