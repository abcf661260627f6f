"""The leave-one-out protocol of ``freshet evaluate``: published splits of order-only data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
import msgspec

from encoders.datasets import Dataset, LeaveOneOut
from encoders.errors import ModelError, SettingsError
from encoders.evaluation.collaborative import Covisitation, SessionNeighbours
from encoders.evaluation.leave_one_out import evaluate as leave_one_out
from encoders.evaluation.methods import Method, Popularity
from encoders.events import Item
from streams.cli.evaluate_output import Output, Report, Row, print_json, write_report
from streams.cli.pretrain import training_sequences

if TYPE_CHECKING:
    from encoders.evaluation.two_stage import Rank
    from encoders.ranker import RankerConfig, RankingRows
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


@dataclass(frozen=True, slots=True)
class Settings:
    """How models are trained here; ``epochs`` of the towers, the others of the ranker."""

    seed: int
    epochs: int | None
    rows: int
    without: tuple[str, ...]
    train_only: bool
    ablation: bool


@dataclass(frozen=True, slots=True)
class _Texts:
    """A model and what it makes of the items' texts, unit length [n_items, text_dim]."""

    folder: Path
    model: ServingModel
    vectors: Vector


def evaluate(
    data: Dataset,
    split: LeaveOneOut,
    methods: str | None,
    model: Path | None,
    settings: Settings,
    output: Output,
) -> None:
    """Compare methods on the split and write the figures.

    Raises ``SettingsError`` for an unknown method, ``ModelError`` where a model cannot be made or used.
    """
    chosen = _chosen(methods, model)
    with TemporaryDirectory(prefix="freshet-evaluate-") as scratch:
        counting = set(chosen) <= WITHOUT_MODEL and not settings.ablation
        texts = None if counting else _read_texts(data, model, Path(scratch))
        rows: list[Row] = []
        compared = _methods(chosen, data, split, model, texts, Path(scratch), settings)
        if settings.ablation and texts is not None:
            compared = _parts(data, texts, settings)
        for method in compared:
            found = leave_one_out(
                method,
                split,
                len(data.items),
                vectors=None if texts is None else texts.vectors,
                train_only=settings.train_only,
                seed=settings.seed,
            )
            rows.append({"method": method.name, **found})
            if output.as_json:
                print_json(rows[-1:])
    title = f"{data.name}: {len(data.items):,} items, {len(split.test):,} test cases"
    write_report(Report(title, {"": rows}), output)


def _read_texts(data: Dataset, model: Path | None, scratch: Path) -> _Texts:
    """Texts are what takes long: without a model, one of a single item reads them, once."""
    from exporters.model_store import load_model

    threads = os.cpu_count() or 1
    reader = model or _make_untrained(data.items[:1], data.name, scratch / "reader")
    vectors = load_model(reader, threads=threads).encode_texts([item.text for item in data.items])
    folder = model or _make_untrained(data.items, data.name, scratch, reader, vectors)
    return _Texts(folder, load_model(folder, threads=threads), vectors)


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
    texts: _Texts | None,
    scratch: Path,
    settings: Settings,
) -> Iterator[Method]:
    """The methods in turn, each made when its turn comes: the first figures do not wait for the last."""
    for simple in (Popularity, Covisitation, SessionNeighbours):
        if simple.name in chosen:
            yield simple()
    if texts is None:
        return
    from encoders.evaluation.model_method import ModelMethod
    from encoders.evaluation.two_stage import TwoStage
    from exporters.model_store import load_model

    start, text_vectors = texts.model, texts.vectors
    for name in ("model", "untrained"):
        if name in chosen:
            yield ModelMethod(name, start, text_vectors)
    for name in ("fusion", "ranker-zero-shot", "ranker"):
        if name in chosen:
            yield TwoStage(name, start, text_vectors, _rank(name, data, start, text_vectors, model, settings))
    if "pretrained" in chosen:
        trained = _pretrain(data, split, scratch, texts.folder, text_vectors, settings)
        yield ModelMethod("pretrained", load_model(trained, threads=os.cpu_count() or 1), text_vectors)


def _rank(
    name: str,
    data: Dataset,
    start: ServingModel,
    text_vectors: Vector,
    model: Path | None,
    settings: Settings,
) -> Rank | None:
    """What orders the candidates: nothing, the model's own ranker, or one trained here."""
    if name == "fusion":
        return None
    if name == "ranker-zero-shot" or model is not None:
        if start.ranker_graph is None:
            raise ModelError("this model has no ranker: train one with `freshet train-ranker`")
        return start.rank
    from encoders.ranker import rank_with, train_ranker

    rows = _ranking_rows(data, start, text_vectors, settings).without(settings.without)
    return rank_with(train_ranker([rows], _ranker_config(settings), _progress).ranker)


def _parts(data: Dataset, texts: _Texts, settings: Settings) -> Iterator[Method]:
    """The two stages taken apart."""
    from encoders.evaluation.ablation import orderings
    from encoders.evaluation.two_stage import TwoStage

    rows = _ranking_rows(data, texts.model, texts.vectors, settings)
    config = _ranker_config(settings)
    for name, ordering in orderings(rows, config, repeats=False, progress=_progress):
        yield TwoStage(name, texts.model, texts.vectors, ordering.rank, diversity=ordering.diversity)


def _ranking_rows(
    data: Dataset, start: ServingModel, text_vectors: Vector, settings: Settings
) -> RankingRows:
    from encoders.covisitation import CovisitationConfig
    from encoders.ranking_rows import ranking_rows

    known = training_sequences(data, settings.seed)
    vectors = start.item_vectors(text_vectors)
    config = CovisitationConfig()
    return ranking_rows(start, vectors, known, config, max_rows=settings.rows, seed=settings.seed)


def _ranker_config(settings: Settings) -> RankerConfig:
    from encoders.ranker import RankerConfig

    return RankerConfig(seed=settings.seed)


def _make_untrained(
    items: Sequence[Item],
    dataset: str,
    out: Path,
    text_from: Path | None = None,
    text_vectors: Vector | None = None,
) -> Path:
    from encoders.config import ModelConfig

    try:
        from exporters.model_factory import make_untrained
    except ModuleNotFoundError as error:
        raise ModelError(
            f"making a model needs {error.name}: pip install 'freshet[train]', or name a model with --model"
        ) from error
    return make_untrained(
        items, out, ModelConfig(), text_from=text_from, text_vectors=text_vectors, dataset=dataset
    )


def _pretrain(
    data: Dataset,
    split: LeaveOneOut,
    scratch: Path,
    parent: Path,
    text_vectors: Vector,
    settings: Settings,
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
