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
@click.option(
    "--sampled-evidence",
    is_flag=True,
    help="Count co-visitation from the sample alone, and not from everybody: a shop that has no more.",
)
@click.option("--cache", type=PATH, required=True, help="Folder that keeps what is measured.")
@click.option("--plot", type=PATH, help="Write the curves as .png or .svg.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def transfer(
    parent: Path,
    dataset: tuple[str, str],
    sizes: str,
    seeds: int,
    epochs: int,
    threads: int,
    sampled_evidence: bool,
    cache: Path,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Learning curves of the whole system on a target, from a parent model and from scratch.

    Each size is a sample of the target's users to train on. transfer: from the parent. plain-scratch: towers
    and ranker trained on the sample alone, the best epoch by validation, whatever it is worth.
    guarded-scratch: the same, but what is not better than no training is left out. Co-visitation is counted
    from everybody, as the worker counts it without training, unless --sampled-evidence. Full ranking of the
    test targets; each target of the product is printed with whether it holds. About a minute of CPU a cell:
    --cache keeps each, an interrupted run goes on from there, and its figures.json has what is measured.

    \b
        freshet bench transfer --from models/ --dataset unisrec amazon_scientific/ --cache curves/ --json
    """
    import_factory()
    from streams.bench.season_plot import check_plot
    from streams.bench.transfer import TransferOptions, run_transfer
    from streams.bench.transfer_plot import plot_transfer

    if plot is not None:
        check_plot(plot)
    options = TransferOptions(_sizes(sizes), seeds, epochs, threads, sampled_evidence, cache)
    data = load(dataset[0], Path(dataset[1]))
    figures = run_transfer(parent, data, options, lambda line: click.echo(line, err=True))
    if plot is not None:
        plot_transfer(figures, plot)
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
    for name in ("interactions", "arm", "system", "95 %", "lowest", "highest", "towers alone", "CPU s"):
        curves.add_column(name)
    for point in figures.points:
        size = "all" if point.size is None else f"{point.size:,}"
        low, high = point.interval
        values = (point.lowest, point.highest, point.towers_ndcg_at_10)
        shown = (f"{point.ndcg_at_10:.4f}", f"{low:.4f} to {high:.4f}", *(f"{v:.4f}" for v in values))
        curves.add_row(size, point.arm, *shown, f"{point.cpu_seconds:.0f}")
    targets = Table(title="Targets")
    for name in ("", "wanted", "found", "holds"):
        targets.add_column(name)
    for target in figures.targets:
        found = "–" if target.found is None else f"{target.found:.4g}"
        targets.add_row(target.what, f"{target.wanted:.4g}", found, "yes" if target.holds else "no")
    console = Console()
    console.print(curves)
    console.print(targets)
