"""``freshet tune-text``."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from encoders.datasets import NAMES, load
from streams.cli.model import PATH, print_model
from streams.cli.pretrain import training_sequences
from streams.cli.training_progress import TrainingBar, import_factory


@click.command()
@click.argument("path", type=PATH)
@click.option("--dataset", nargs=2, metavar="NAME PATH", required=True, help=f"NAME: {', '.join(NAMES)}.")
@click.option("--text-model", help="What its text tower was made from, as in `freshet model init`.")
@click.option("--steps", type=click.IntRange(1), default=100, show_default=True, help="Of training.")
@click.option("--batch", type=click.IntRange(2), default=32, show_default=True, help="Pairs of a step.")
@click.option("--rank", type=click.IntRange(1, 256), default=8, show_default=True, help="Of the adapters.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same weights.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU.")
@click.option("--out", type=PATH, required=True, help="Models folder; the version becomes its `latest`.")
@click.option("--json", "as_json", is_flag=True, help="Print the new manifest as one JSON object.")
def tune_text(
    path: Path,
    dataset: tuple[str, str],
    text_model: str | None,
    steps: int,
    batch: int,
    rank: int,
    seed: int,
    threads: int,
    out: Path,
    as_json: bool,
) -> None:
    """Tune a model's text tower on what users turn to next: low-rank adapters, merged before export.

    Whitening is fitted anew, and what was learned about items stays behind. Held-out pairs of an item and the
    next one tell whether the new item vectors find next items no worse; otherwise no model is written. Its
    text vectors are others: a worker starts on it with an empty store, and cannot swap to it.

    \b
    Example:
      freshet tune-text models/ --dataset online-retail online_retail/ --out tuned/
    """
    data = load(dataset[0], Path(dataset[1]))
    import_factory()
    tuned_text = importlib.import_module("exporters.tuned_text")
    tuning = importlib.import_module("encoders.text_tuning").TextTuning(
        rank=rank, steps=steps, batch_size=batch, seed=seed, threads=threads
    )
    with TrainingBar() as bar:
        folder = tuned_text.tune_text(
            path,
            [item.text for item in data.items],
            training_sequences(data, seed),
            out,
            text_model=text_model,
            tuning=tuning,
            progress=bar.update,
        )
    print_model(folder, as_json)
