"""``freshet bench transfer``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from encoders.datasets import NAMES, load
from encoders.errors import SettingsError
from streams.cli.training_progress import import_factory

if TYPE_CHECKING:
    from streams.bench.transfer_figures import Figures

PATH = click.Path(path_type=Path)


@click.command()
@click.option("--from", "parent", type=PATH, required=True, help="A model pretrained on other data sets.")
@click.option(
    "--dataset",
    nargs=2,
    metavar="NAME PATH",
    required=True,
    help=f"With a published split. {', '.join(NAMES)}.",
)
@click.option(
    "--sizes", default="0,1000,5000,20000,all", show_default=True, help="Target interactions to learn from."
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Samples of each size.")
@click.option("--epochs", type=click.IntRange(1), default=15, show_default=True, help="At most, a stage.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU.")
@click.option("--cache", type=PATH, required=True, help="Folder that keeps what is measured.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def transfer(
    parent: Path,
    dataset: tuple[str, str],
    sizes: str,
    seeds: int,
    epochs: int,
    threads: int,
    cache: Path,
    as_json: bool,
) -> None:
    """Learning curves of the whole system on a target, from a parent model and from scratch.

    Each size is a sample of the target's users to train on. Co-visitation is counted from everybody, as the
    worker counts it, for both arms. Full ranking of the test targets; each target of the product is printed
    with whether it holds. Minutes a cell: --cache keeps each, and an interrupted run goes on from there.

    \b
        freshet bench transfer --from models/ --dataset unisrec amazon_scientific/ --cache curves/ --json
    """
    import_factory()
    from streams.bench.transfer import TransferOptions, run_transfer

    options = TransferOptions(_sizes(sizes), seeds, epochs, threads, cache)
    data = load(dataset[0], Path(dataset[1]))
    figures = run_transfer(parent, data, options, lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(figures.json())
    else:
        _print(figures)


def _sizes(text: str) -> tuple[int | None, ...]:
    try:
        return tuple(None if size.strip() == "all" else int(size) for size in text.split(","))
    except ValueError as error:
        raise SettingsError(f"--sizes {text!r}: give numbers and `all`, such as 0,1000,all") from error


def _print(figures: Figures) -> None:
    from rich.console import Console
    from rich.table import Table

    curves = Table(title=f"NDCG@10; the untrained text profile: {figures.untrained_ndcg_at_10:.4f}")
    for name in ("interactions", "arm", "system", "lowest", "highest", "towers alone", "seconds"):
        curves.add_column(name)
    for point in figures.points:
        size = "all" if point.size is None else f"{point.size:,}"
        values = (point.ndcg_at_10, point.lowest, point.highest, point.towers_ndcg_at_10)
        curves.add_row(size, point.arm, *(f"{value:.4f}" for value in values), f"{point.seconds:.0f}")
    targets = Table(title="Targets")
    for name in ("", "wanted", "found", "holds"):
        targets.add_column(name)
    for target in figures.targets:
        found = "–" if target.found is None else f"{target.found:.4g}"
        targets.add_row(target.what, f"{target.wanted:.4g}", found, "yes" if target.holds else "no")
    console = Console()
    console.print(curves)
    console.print(targets)
