"""``freshet evaluate``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import click
import msgspec
import numpy as np

from encoders.datasets import NAMES, Dataset, LeaveOneOut, load
from encoders.errors import DataError, ModelError, SettingsError
from encoders.evaluation.collaborative import Covisitation, SessionNeighbours
from encoders.evaluation.leave_one_out import evaluate as leave_one_out
from encoders.evaluation.methods import Method, Popularity
from encoders.features import GROUPS, mask_without

if TYPE_CHECKING:
    from encoders.evaluation.two_stage import Rank
    from encoders.runtime import ServingModel, Vector

METHODS = (
    "popularity",
    "covisitation",
    "vsknn",
    "untrained",
    "fusion",
    "ranker-zero-shot",
    "ranker",
    "pretrained",
)
FIRST = ("popularity", "untrained", "pretrained")
"""What is compared unless told otherwise: the floor, day one, and what training adds. Minutes."""
OF_A_MODEL = ("popularity", "covisitation", "vsknn", "model", "fusion", "ranker")
WITHOUT_MODEL = {"popularity", "covisitation", "vsknn"}
ALIASES = {"decayed-text": "untrained"}
SHOWN = ("method", "recall_at_10", "ndcg_at_10", "mrr_at_10", "novelty_at_10", "coverage_at_10")
"""Columns of the table; --json has all figures."""
Figures = dict[str, str | float]


@dataclass(frozen=True, slots=True)
class _Settings:
    """How models are trained here; ``epochs`` of the towers, the others of the ranker."""

    seed: int
    epochs: int | None
    rows: int
    without: tuple[str, ...]


@click.command()
@click.option("--dataset", required=True, type=click.Choice(NAMES), help="The format of the data set.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--methods", help=f"Comma-separated, or all: {', '.join(METHODS)}. [default: {','.join(FIRST)}]"
)
@click.option("--model", type=click.Path(path_type=Path), help="Evaluate this model instead of making one.")
@click.option("--seed", default=0, show_default=True, help="Seed of the training.")
@click.option("--epochs", type=click.IntRange(1), help="Train for at most this many epochs.")
@click.option("--rows", type=click.IntRange(20), default=10_000, show_default=True, help="For `ranker`.")
@click.option("--without", multiple=True, type=click.Choice(list(GROUPS)), help="Features `ranker` lacks.")
@click.option("--train-only", is_flag=True, help="Count nothing from the validation targets.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a method: all figures, and intervals."
)
def evaluate(
    dataset: str,
    path: Path,
    methods: str | None,
    model: Path | None,
    seed: int,
    epochs: int | None,
    rows: int,
    without: tuple[str, ...],
    train_only: bool,
    as_json: bool,
) -> None:
    """Compare ways to recommend on a data set's published split.

    For every test user the whole catalogue is ranked, nothing sampled. Counts (popularity, covisitation,
    vsknn, and the evidence of fusion and rankers) are of all that came before the test target. Models are
    trained on the training part, rankers on the validation targets, in a temporary folder; that needs the
    extra `train`, unless --model names a model. Its ranker is then used as it is.

    \b
    untrained         similarity to the decayed mean of text vectors (also: decayed-text)
    fusion            untrained + covisitation, nothing trained
    ranker-zero-shot  their candidates ordered by the ranker that comes with Freshet, trained on Amazon Games
    ranker            the same, trained on this data set's validation targets

    Every method's parameters, those of the baselines too, were chosen by validation NDCG@10 on Amazon
    Scientific, and are the same for all data sets. popularity and untrained may repeat the history, the
    others put it last.

    \b
        freshet evaluate --dataset unisrec amazon_scientific --json
        freshet evaluate --dataset unisrec amazon_scientific --methods all
    """
    chosen = _chosen(methods, model)
    data = load(dataset, path)
    if data.split is None:
        raise DataError(
            f"{dataset} has times and no published split: evaluate it by replay (`freshet replay --help`)"
        )
    with TemporaryDirectory(prefix="freshet-evaluate-") as scratch:
        settings = _Settings(seed, epochs, rows, without)
        compared = _methods(chosen, data, data.split, model, Path(scratch), settings)
        figures: Iterator[Figures] = (
            {
                "method": method.name,
                **leave_one_out(method, data.split, len(data.items), train_only=train_only, seed=seed),
            }
            for method in compared
        )
        if as_json:
            for row in figures:
                click.echo(msgspec.json.encode(row).decode())
        else:
            _print_table(data, list(figures))


def _chosen(methods: str | None, model: Path | None) -> list[str]:
    known, usual = (OF_A_MODEL, OF_A_MODEL) if model else (METHODS, FIRST)
    if methods == "all":
        return list(known)
    chosen = [name.strip() for name in methods.split(",")] if methods else list(usual)
    chosen = [ALIASES.get(name, name) for name in chosen]
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        raise SettingsError(f"no method {', '.join(unknown)} here: choose of {', '.join(known)}")
    return chosen


def _methods(
    chosen: Sequence[str],
    data: Dataset,
    split: LeaveOneOut,
    model: Path | None,
    scratch: Path,
    settings: _Settings,
) -> Iterator[Method]:
    """The methods in turn, each made when its turn comes: the first figures do not wait for the last."""
    for simple in (Popularity, Covisitation, SessionNeighbours):
        if simple.name in chosen:
            yield simple()
    if set(chosen) <= WITHOUT_MODEL:
        return
    from encoders.evaluation.model_method import ModelMethod
    from encoders.evaluation.two_stage import TwoStage
    from exporters.model_store import load_model

    folder = model or _make_untrained(data, scratch)
    start = load_model(folder, threads=os.cpu_count() or 1)
    text_vectors = start.encode_texts([item.text for item in data.items])
    for name in ("model", "untrained"):
        if name in chosen:
            yield ModelMethod(name, start, text_vectors)
    for name in ("fusion", "ranker-zero-shot", "ranker"):
        if name in chosen:
            yield TwoStage(name, start, text_vectors, _rank(name, data, start, text_vectors, model, settings))
    if "pretrained" in chosen:
        trained = _pretrain(data, split, scratch, folder, text_vectors, settings)
        yield ModelMethod("pretrained", load_model(trained, threads=os.cpu_count() or 1), text_vectors)


def _rank(
    name: str,
    data: Dataset,
    start: ServingModel,
    text_vectors: Vector,
    model: Path | None,
    settings: _Settings,
) -> Rank | None:
    """What orders the candidates: nothing, the model's own ranker, or one trained here."""
    if name == "fusion":
        return None
    if name == "ranker-zero-shot" or model is not None:
        if start.ranker_graph is None:
            raise ModelError("this model has no ranker: train one with `freshet train-ranker`")
        return start.rank
    from encoders.covisitation import CovisitationConfig
    from encoders.ranker import RankerConfig, rank_with, train_ranker
    from encoders.ranking_rows import ranking_rows
    from streams.cli.pretrain import training_sequences

    known = training_sequences(data, settings.seed)
    rows = ranking_rows(
        start,
        start.item_vectors(text_vectors),
        known,
        CovisitationConfig(),
        max_rows=settings.rows,
        seed=settings.seed,
    )
    mask = mask_without(settings.without)
    np.multiply(rows.features, mask, out=rows.features)
    rank = rank_with(train_ranker([rows], RankerConfig(seed=settings.seed), _progress).ranker)
    return lambda features: rank(features * mask)


def _make_untrained(data: Dataset, scratch: Path) -> Path:
    from encoders.config import ModelConfig

    try:
        from exporters.model_factory import make_untrained
    except ModuleNotFoundError as error:
        raise ModelError(
            f"making a model needs {error.name}: pip install 'freshet[train]', or name a model with --model"
        ) from error
    return make_untrained(data.items, scratch, ModelConfig(), dataset=data.name, progress=_progress)


def _pretrain(
    data: Dataset,
    split: LeaveOneOut,
    scratch: Path,
    parent: Path,
    text_vectors: Vector,
    settings: _Settings,
) -> Path:
    from encoders.batching import from_leave_one_out
    from encoders.config import ModelConfig, TrainingConfig
    from exporters.model_factory import pretrain

    training = TrainingConfig(seed=settings.seed)
    if settings.epochs is not None:
        training = msgspec.structs.replace(training, epochs=settings.epochs)
    return pretrain(
        from_leave_one_out(split.train, split.valid, dataset=data.name),
        data.items,
        scratch,
        ModelConfig(),
        training,
        parent=parent,
        text_vectors=text_vectors,
        progress=_progress,
    )


def _progress(stage: str, done: int, total: int, note: str) -> None:
    """Epochs alone, on stderr: stdout is for the figures."""
    if stage == "epoch":
        click.echo(f"epoch {done}/{total}: {note}", err=True)


def _print_table(data: Dataset, figures: Sequence[Figures]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    title = (
        f"{data.name}: {len(data.items):,} items, {len(data.split.test) if data.split else 0:,} test cases"
    )
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    for name in SHOWN:
        justify: Literal["left", "right"] = "left" if name == "method" else "right"
        table.add_column(name.replace("_at_", "@"), justify=justify, no_wrap=True)
    for row in figures:
        table.add_row(*(_cell(row[name]) for name in SHOWN))
    Console().print(table)


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.4f}"
