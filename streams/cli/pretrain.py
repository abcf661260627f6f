"""``freshet pretrain``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from encoders.batching import TrainingSequences, from_interactions, from_leave_one_out
from encoders.config import ModelConfig, TrainingConfig
from encoders.datasets import NAMES, Dataset, load
from encoders.errors import SettingsError
from streams.cli.loss_weights import loss_weights
from streams.cli.model import PATH, print_model
from streams.cli.training_progress import TrainingBar, import_factory
from streams.cli.until import UNTIL, dataset_until, past_of
from streams.composition import replay_of
from streams.settings import load_settings

if TYPE_CHECKING:
    from encoders.progress import Progress
    from encoders.ranker import RankingRows
    from encoders.runtime import ServingModel, Vector

DEFAULTS = TrainingConfig()


@click.command()
@click.option("--dataset", nargs=2, metavar="NAME PATH", help=f"NAME: {', '.join(NAMES)}.")
@click.option(
    "--source",
    "sources",
    nargs=2,
    metavar="NAME PATH",
    multiple=True,
    help="Instead of --dataset, twice or more: shops that share a user tower and a ranker, to transfer from.",
)
@click.option("--until", metavar="SHARE|TIME", help=UNTIL)
@click.option("--out", type=PATH, required=True, help="Models folder; the version becomes its `latest`.")
@click.option("--from", "parent", type=PATH, help="Model to start from. Default: an untrained one.")
@click.option("--dim", type=click.IntRange(2, 4096), default=128, show_default=True, help="Without --from.")
@click.option("--text-model", help="Without --from: Hugging Face id or folder. Default: packaged MiniLM.")
@click.option("--epochs", type=click.IntRange(1), default=DEFAULTS.epochs, show_default=True, help="At most.")
@click.option(
    "--rows",
    type=click.IntRange(20),
    default=9_000,
    show_default=True,
    help="Users of each --source, at each age of it, that the ranker learns from.",
)
@loss_weights
@click.option("--seed", type=int, default=DEFAULTS.seed, show_default=True, help="Same seed, same weights.")
@click.option("--threads", type=click.IntRange(1), default=DEFAULTS.threads, show_default=True, help="CPU.")
@click.option("--resume", is_flag=True, help="Go on after the last whole epoch of an interrupted run.")
@click.option("--json", "as_json", is_flag=True, help="Print the new manifest as one JSON object.")
def pretrain(
    dataset: tuple[str, str] | None,
    sources: Sequence[tuple[str, str]],
    until: str | None,
    out: Path,
    parent: Path | None,
    dim: int,
    text_model: str | None,
    epochs: int,
    rows: int,
    click_loss_weight: float,
    purchase_loss_weight: float,
    seed: int,
    threads: int,
    resume: bool,
    as_json: bool,
) -> None:
    """Train a model's towers on a data set, and write a new version of the model.

    Data with times are split by one global time, the newest tenth validates; a published leave-one-out
    split is used as it is. Training stops when validation NDCG@10 no longer rises, and keeps the best
    epoch. Where training does not beat the model it started from, that model stays `latest`.

    With several --source, what carries over between shops is learned: the user tower and the ranker. Each
    shop has an adaptor of its own (whitening), and gives the same number of batches; an epoch is one pass
    over the smallest.

    \b
    Examples:
      freshet pretrain --dataset movielens ml-100k/ --out models/
      freshet pretrain --source unisrec games/ --source online-retail online_retail/ --out models/
    """
    if (dataset is None) == (not sources):
        raise SettingsError("name one --dataset, or several --source")
    factory = import_factory()
    training = TrainingConfig(
        epochs=epochs,
        seed=seed,
        threads=threads,
        click_loss_weight=click_loss_weight,
        purchase_loss_weight=purchase_loss_weight,
    )
    if dataset is None:
        if parent is not None:
            raise SettingsError("--source makes a new model: use `freshet transfer` to go on from one")
        shops = [(f"{n}-{Path(p).name}", dataset_until(load(n, Path(p)), until)) for n, p in sources]
        config = ModelConfig(dim=dim)
        print_model(_pretrain_sources(shops, out, config, training, text_model, rows, resume), as_json)
        return
    name, path = dataset
    data = dataset_until(load(name, Path(path)), until)
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


def _pretrain_sources(
    shops: Sequence[tuple[str, Dataset]],
    out: Path,
    config: ModelConfig,
    training: TrainingConfig,
    text_model: str | None,
    rows: int,
    resume: bool,
) -> Path:
    factory = importlib.import_module("exporters.source_pretraining")
    with TrainingBar() as bar:
        sources = [
            factory.Source(
                name,
                data.items,
                training_sequences(data, training.seed),
                partial(_rows, data, rows, training.seed, bar.update),
            )
            for name, data in shops
        ]
        folder: Path = factory.pretrain_sources(
            sources, out, config, training, text_model=text_model, resume=resume, progress=bar.update
        )
    return folder


def _rows(
    data: Dataset, rows: int, seed: int, progress: Progress, model: ServingModel, text_vectors: Vector
) -> RankingRows:
    """What the ranker learns from one shop, with evidence and candidates as the settings say; where only an
    order is known, at every age of the shop."""
    from encoders.progressive_rows import progressive_rows
    from encoders.thin_evidence import rows_of_all_ages

    config = replay_of(load_settings())
    if data.split is None and not data.ordered:
        past, stage = past_of(data, None)
        stage = replace(stage, text_vectors=text_vectors)
        return progressive_rows(
            model, past, stage, data.items, config, max_rows=rows, seed=seed, progress=progress
        )
    vectors, known = model.item_vectors(text_vectors), training_sequences(data, seed)
    return rows_of_all_ages(
        model, vectors, known, config.covisitation, max_rows=rows, seed=seed, progress=progress
    )


def training_sequences(data: Dataset, seed: int = 0) -> TrainingSequences:
    """The published split where there is one, else a split by global time."""
    if data.split is not None:
        return from_leave_one_out(data.split.train, data.split.valid, dataset=data.name)
    index = {item.item_id: i for i, item in enumerate(data.items)}
    return from_interactions(data.interactions(), index, seed=seed, dataset=data.name)
