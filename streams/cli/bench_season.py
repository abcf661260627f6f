"""``freshet bench season``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from encoders.datasets import NAMES, load
from streams.cli.training_progress import TrainingBar, import_factory
from streams.cli.until import seconds_of

if TYPE_CHECKING:
    from streams.bench.season_figures import SeasonFigures

PATH = click.Path(path_type=Path)


@click.command()
@click.option(
    "--dataset", nargs=2, metavar="NAME PATH", required=True, help=f"With times. {', '.join(NAMES)}."
)
@click.option("--model", type=PATH, help="A model's folder. [an untrained one is made of the past]")
@click.option("--start", default="2011-10-01", show_default=True, help="When the season begins: an ISO time.")
@click.option("--until", help="What comes later is left out: an ISO time.")
@click.option(
    "--weeks", type=click.FloatRange(0, min_open=True), default=8, show_default=True, help="Measured."
)
@click.option(
    "--rows", type=click.IntRange(20), default=6_000, show_default=True, help="Baskets of the past."
)
@click.option("--epochs", type=click.IntRange(1), default=6, show_default=True, help="A tuning, at most.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU.")
@click.option("--plot", type=PATH, help="Weekly NDCG@10 and the trainings: a .png or .svg file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def season(
    dataset: tuple[str, str],
    model: Path | None,
    start: str,
    until: str | None,
    weeks: float,
    rows: int,
    epochs: int,
    seed: int,
    threads: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Drift-triggered tuning of the ranker against a frozen one and against tuning every day.

    The worker offline lives through the data in time order: recommend, then learn. The evidence grows in all
    arms alike; they differ in the ranker. What asks for trainings, what they train on and what the gate asks
    is as the settings [drift] and [trainer] say. NDCG@10 is of the last --weeks.

    \b
        freshet bench season --dataset online-retail online_retail/ --json
    """
    import_factory()
    from streams.bench.season import SeasonOptions, run_season
    from streams.bench.season_plot import check_plot, plot_season
    from streams.settings import load_settings

    if plot is not None:
        check_plot(plot)
    end = math.inf if until is None else seconds_of(until)
    options = SeasonOptions(model, seconds_of(start, "--start"), end, weeks, rows, epochs, seed, threads)
    data = load(dataset[0], Path(dataset[1]))
    with TrainingBar() as bar:
        figures = run_season(data, options, load_settings(), bar.update)
    if plot is not None:
        plot_season(figures, plot)
    if as_json:
        click.echo(figures.json())
    else:
        _print(figures)


def _print(figures: SeasonFigures) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"{figures.dataset}, {figures.measured_from} to {figures.until}: {figures.baskets:,} baskets"
    arms = Table(title=title)
    for name in ("arm", "NDCG@10", "interval", "over frozen-trained", "trainings", "released", "CPU s"):
        arms.add_column(name)
    for one in figures.arms:
        gain = one.over.get("frozen-trained")
        over = f"{gain.difference:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]" if gain else "–"
        interval, seconds = f"{one.low:.4f} – {one.high:.4f}", f"{one.training_cpu_seconds:.0f}"
        counts = (str(len(one.trainings)), str(one.released))
        arms.add_row(one.arm, f"{one.ndcg_at_10:.4f}", interval, over, *counts, seconds)
    targets = Table(title="Targets")
    for name in ("", "wanted", "found", "holds"):
        targets.add_column(name)
    for target in figures.targets:
        targets.add_row(
            target.what, f"{target.wanted:.4g}", f"{target.found:.4g}", "yes" if target.holds else "no"
        )
    console = Console()
    console.print(arms)
    console.print(targets)
