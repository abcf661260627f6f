"""``freshet evaluate``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from encoders.datasets import NAMES, Dataset, LeaveOneOut, load
from encoders.errors import DataError, ModelError, SettingsError
from encoders.evaluation.leave_one_out import evaluate as leave_one_out
from encoders.evaluation.methods import Method, Popularity

if TYPE_CHECKING:
    from encoders.runtime import Vector

METHODS = ("popularity", "untrained", "pretrained")
Figures = dict[str, str | float]


@click.command()
@click.option("--dataset", required=True, type=click.Choice(NAMES), help="The format of the data set.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--methods", default=None, help=f"Comma-separated, of {', '.join(METHODS)} (default: all).")
@click.option("--model", type=click.Path(path_type=Path), help="Evaluate this model instead of making one.")
@click.option("--seed", default=0, show_default=True, help="Seed of the training.")
@click.option("--epochs", type=click.IntRange(1), help="Train for at most this many epochs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a method.")
def evaluate(
    dataset: str,
    path: Path,
    methods: str | None,
    model: Path | None,
    seed: int,
    epochs: int | None,
    as_json: bool,
) -> None:
    """Compare ways to recommend on a data set's published split.

    For every test user the whole catalogue is ranked, nothing sampled, nothing masked. Models are made from
    the training part, in a temporary folder. Needs the extra `train`, unless --model names a model.

    \b
        freshet evaluate --dataset unisrec amazon_scientific --json
    """
    chosen = _chosen(methods, model)
    data = load(dataset, path)
    if data.split is None:
        raise DataError(
            f"{dataset} has times and no published split: evaluate it by replay (`freshet replay --help`)"
        )
    with TemporaryDirectory(prefix="freshet-evaluate-") as scratch:
        compared = _methods(chosen, data, data.split, model, Path(scratch), seed, epochs)
        figures: Iterator[Figures] = (
            {"method": method.name, **leave_one_out(method, data.split, len(data.items))}
            for method in compared
        )
        if as_json:
            for row in figures:
                click.echo(msgspec.json.encode(row).decode())
        else:
            _print_table(data, list(figures))


def _chosen(methods: str | None, model: Path | None) -> list[str]:
    known = ("popularity", "model") if model else METHODS
    chosen = [name.strip() for name in methods.split(",")] if methods else list(known)
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
    seed: int,
    epochs: int | None,
) -> Iterator[Method]:
    """The methods in turn, each made when its turn comes: the first figures do not wait for the last."""
    if "popularity" in chosen:
        yield Popularity()
    if set(chosen) == {"popularity"}:
        return
    from encoders.evaluation.model_method import ModelMethod
    from exporters.model_store import load_model

    folder = model or _make_untrained(data, scratch)
    start = load_model(folder, threads=os.cpu_count() or 1)
    text_vectors = start.encode_texts([item.text for item in data.items])
    for name in ("model", "untrained"):
        if name in chosen:
            yield ModelMethod(name, start, text_vectors)
    if "pretrained" in chosen:
        trained = _pretrain(data, split, scratch, folder, text_vectors, seed, epochs)
        yield ModelMethod("pretrained", load_model(trained, threads=os.cpu_count() or 1), text_vectors)


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
    seed: int,
    epochs: int | None,
) -> Path:
    from encoders.batching import from_leave_one_out
    from encoders.config import ModelConfig, TrainingConfig
    from exporters.model_factory import pretrain

    training = TrainingConfig(seed=seed)
    if epochs is not None:
        training = msgspec.structs.replace(training, epochs=epochs)
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
    for name in figures[0]:
        justify: Literal["left", "right"] = "left" if name == "method" else "right"
        table.add_column(name.replace("_at_", "@"), justify=justify, no_wrap=True)
    for row in figures:
        table.add_row(*(value if isinstance(value, str) else f"{value:.4f}" for value in row.values()))
    Console().print(table)
