"""``freshet bench``: what the running system does, measured on this machine."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.cli.bench_season import season
from streams.cli.bench_transfer import transfer

if TYPE_CHECKING:
    from streams.bench.broker import Kind
    from streams.bench.figures import PipelineFigures
    from streams.bench.swap_figures import SwapFigures


@click.group()
def bench() -> None:
    """Measure the running system on this machine."""


bench.add_command(transfer)
bench.add_command(season)


ITEMS = click.option(
    "--items", type=click.IntRange(1), default=20_000, show_default=True, help="The catalogue."
)
USERS = click.option(
    "--users", type=click.IntRange(1), default=50_000, show_default=True, help="Users to draw from."
)
MODEL = click.option(
    "--model", type=click.Path(path_type=Path), help="A version's folder. [an untrained one is made]"
)
BROKER = click.option(
    "--broker",
    type=click.Choice(["auto", "kafka", "demo"]),
    default="auto",
    show_default=True,
    help="auto: the real Kafka where a JDK and its jars are there, else the demo broker.",
)
SEED = click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@bench.command()
@ITEMS
@USERS
@click.option("--events", type=click.IntRange(1), default=60_000, show_default=True, help="The backlog.")
@click.option(
    "--rate",
    type=click.FloatRange(0.1),
    default=300.0,
    show_default=True,
    help="Events a second, for the freshness.",
)
@click.option(
    "--rate-seconds",
    type=click.FloatRange(0.1),
    default=30.0,
    show_default=True,
    help="How long at that rate.",
)
@MODEL
@BROKER
@SEED
@JSON
def pipeline(
    items: int,
    users: int,
    events: int,
    rate: float,
    rate_seconds: float,
    model: Path | None,
    broker: Kind,
    seed: int,
    as_json: bool,
) -> None:
    """Time a worker from clicks to recommendations, on its own broker and store, with default settings.

    A backlog of clicks and purchases (10 %), users and items by Zipf, is worked off as fast as the worker
    can; then events come at --rate, and each is timed from its producer to a consumer of its recommendation.
    The catalogue is stored beforehand with random text vectors: encoding texts is NOT in the figures. An
    empty Faust agent on the same events is the yardstick. No figures where an event or a user was lost.

    CPU is that of the worker's whole process, by the stage that ran meanwhile. Needs Linux.

    \b
        freshet bench pipeline --json
    """
    from streams.bench.pipeline import PipelineOptions, run_pipeline

    options = PipelineOptions(items, users, events, rate, rate_seconds, model, broker, seed)
    with _terminated_like_interrupted():
        figures = run_pipeline(options)
    if as_json:
        click.echo(figures.json())
    else:
        _print_table(figures)


@bench.command()
@ITEMS
@USERS
@click.option(
    "--rate", type=click.FloatRange(1), default=500.0, show_default=True, help="Events a second, throughout."
)
@click.option(
    "--phase-seconds",
    type=click.FloatRange(1),
    default=20.0,
    show_default=True,
    help="How long before the swap, between swap and rollback, and after it.",
)
@MODEL
@BROKER
@SEED
@JSON
def swap(
    items: int,
    users: int,
    rate: float,
    phase_seconds: float,
    model: Path | None,
    broker: Kind,
    seed: int,
    as_json: bool,
) -> None:
    """Time a swap and a rollback while events come: what was lost, how fresh, for how long.

    The second version is the first one under another name, in collections of its own: all items are given
    their vectors again, all users are encoded again when they come. Afterwards the histories in the store are
    held against what was sent. Needs Linux.

    \b
        freshet bench swap --json
    """
    from streams.bench.swap import SwapOptions, run_swap

    options = SwapOptions(items, users, rate, phase_seconds, model, broker, seed)
    with _terminated_like_interrupted():
        figures = run_swap(options)
    if as_json:
        click.echo(figures.json())
    else:
        _print_table(figures)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that brokers and workers do not outlive it.

    Ctrl-C itself, too: a shell starts what it runs in the background with SIGINT ignored.
    """
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_table(figures: PipelineFigures | SwapFigures) -> None:
    import msgspec
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{figures.events:,} events on {figures.broker}", show_header=False)
    for name, value in msgspec.structs.asdict(figures).items():
        parts = value if isinstance(value, dict) else {"": value}
        for part, number in parts.items():
            shown = number if isinstance(number, str) else f"{number:,}"
            table.add_row(f"{name} {part}".strip(), shown)
    Console().print(table)
