"""``freshet pretrain``."""

from __future__ import annotations

from pathlib import Path

import click

from encoders.batching import TrainingSequences, from_interactions, from_leave_one_out
from encoders.config import ModelConfig, TrainingConfig
from encoders.datasets import NAMES, Dataset, load
from streams.cli.model import PATH, print_model
from streams.cli.training_progress import TrainingBar, import_factory

DEFAULTS = TrainingConfig()


@click.command()
@click.option("--dataset", nargs=2, metavar="NAME PATH", required=True, help=f"NAME: {', '.join(NAMES)}.")
@click.option("--out", type=PATH, required=True, help="Models folder; the version becomes its `latest`.")
@click.option("--from", "parent", type=PATH, help="Model to start from. Default: an untrained one.")
@click.option("--dim", type=click.IntRange(2, 4096), default=128, show_default=True, help="Without --from.")
@click.option("--text-model", help="Without --from: Hugging Face id or folder. Default: packaged MiniLM.")
@click.option("--epochs", type=click.IntRange(1), default=DEFAULTS.epochs, show_default=True, help="At most.")
@click.option("--seed", type=int, default=DEFAULTS.seed, show_default=True, help="Same seed, same weights.")
@click.option("--threads", type=click.IntRange(1), default=DEFAULTS.threads, show_default=True, help="CPU.")
@click.option("--resume", is_flag=True, help="Go on after the last whole epoch of an interrupted run.")
@click.option("--json", "as_json", is_flag=True, help="Print the new manifest as one JSON object.")
def pretrain(
    dataset: tuple[str, str],
    out: Path,
    parent: Path | None,
    dim: int,
    text_model: str | None,
    epochs: int,
    seed: int,
    threads: int,
    resume: bool,
    as_json: bool,
) -> None:
    """Train a model's towers on a data set, and write a new version of the model.

    Data with times are split by one global time, the newest tenth validates; a published leave-one-out
    split is used as it is. Training stops when validation NDCG@10 no longer rises, and keeps the best
    epoch. Where training does not beat the model it started from, that model stays `latest`.

    \b
    Example:
      freshet pretrain --dataset movielens ml-100k/ --out models/
    """
    name, path = dataset
    data = load(name, Path(path))
    factory = import_factory()
    training = TrainingConfig(epochs=epochs, seed=seed, threads=threads)
    with TrainingBar() as bar:
        folder = factory.pretrain(
            training_sequences(data, seed),
            data.items,
            out,
            ModelConfig(dim=dim),
            training,
            parent=parent,
            text_model=text_model,
            resume=resume,
            progress=bar.update,
        )
    print_model(folder, as_json)


def training_sequences(data: Dataset, seed: int = 0) -> TrainingSequences:
    """The published split where there is one, else a split by global time."""
    if data.split is not None:
        return from_leave_one_out(data.split.train, data.split.valid, dataset=data.name)
    index = {item.item_id: i for i, item in enumerate(data.items)}
    return from_interactions(data.interactions(), index, seed=seed, dataset=data.name)
