"""``freshet replay``."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from encoders.datasets import NAMES, load
from streams.replay import Pace, ReplayReport
from streams.replay import replay as run
from streams.settings import load_settings


@click.command()
@click.option("--dataset", required=True, type=click.Choice(NAMES), help="The format of the files.")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--speed", type=float, help="Data seconds in one second, e.g. 3600; default: as the worker acks."
)
@click.option("--limit", type=click.IntRange(min=1), help="Send only the first N events.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def replay(
    dataset: str, path: Path, speed: float | None, limit: int | None, config: Path | None, as_json: bool
) -> None:
    """Send a public data set through the topics, in time order, its catalogue first.

    \b
    A running `freshet worker` answers with recommendations:
        freshet replay --dataset online-retail online_retail.csv.gz
        freshet replay --dataset movielens ml-100k --speed 86400     # a day a second

    PATH is the data set's file or folder, as it was published. Every line is sent or counted as skipped.
    """
    if speed is not None and speed <= 0:
        raise click.BadParameter("must be above 0", param_hint="--speed")
    settings = load_settings(config)
    loaded = load(dataset, path)
    with _bar() as bar:
        tasks = {
            "catalogue": bar.add_task("catalogue", total=None),
            "events": bar.add_task("events", total=None),
        }
        report = run(
            loaded,
            settings.kafka,
            Pace(speed=speed),
            limit=limit,
            progress=lambda stage, done, total: bar.update(tasks[stage], completed=done, total=total),
        )
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        Console().print(_table(report))


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description:>9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _table(report: ReplayReport) -> Table:
    table = Table(title=f"Replayed {report.dataset}", show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(f"{report.lines:,}", "lines in the files")
    for reason, count in sorted(report.skipped.items()):
        table.add_row(f"{count:,}", f"skipped: {reason}")
    table.add_row(f"{report.items:,}", "items sent")
    table.add_row(f"{report.events:,}", "events sent and committed by the worker")
    table.add_row(f"{report.recommendations:,}", "recommendations published")
    table.add_row(f"{report.dead_letters:,}", "dead letters")
    table.add_row(f"{report.events_per_second:,}", f"events a second, over {report.seconds:,.0f} s")
    return table
