"""``freshet train-ranker``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
import numpy as np

from encoders.datasets import NAMES, Dataset, load
from encoders.features import GROUPS
from encoders.replayed_worker import ReplayConfig
from exporters.model_manifest import DataWindow
from exporters.model_store import load_model
from streams.cli.model import PATH, print_model
from streams.cli.pretrain import training_sequences
from streams.cli.training_progress import TrainingBar, import_factory
from streams.cli.until import UNTIL, past_of
from streams.composition import replay_of
from streams.settings import load_settings

if TYPE_CHECKING:
    from encoders.ranker import RankingRows


@click.command("train-ranker")
@click.option(
    "--dataset",
    "datasets",
    nargs=2,
    metavar="NAME PATH",
    multiple=True,
    required=True,
    help=f"May be given several times. NAME: {', '.join(NAMES)}.",
)
@click.option("--model", type=PATH, required=True, help="The model that gets the ranker.")
@click.option("--out", type=PATH, required=True, help="Models folder; the version becomes its `latest`.")
@click.option("--until", metavar="SHARE|TIME", help=UNTIL)
@click.option("--own-vectors", is_flag=True, help="Whiten a single data set by itself, too.")
@click.option("--rows", type=click.IntRange(20), default=10_000, show_default=True, help="Users a data set.")
@click.option(
    "--thin-evidence",
    is_flag=True,
    help="In data without times: learn from evidence as thin as a young shop's, too.",
)
@click.option("--without", multiple=True, type=click.Choice(list(GROUPS)), help="Features to do without.")
@click.option("--epochs", type=click.IntRange(1), default=12, show_default=True, help="At most.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same weights.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="CPU.")
@click.option("--json", "as_json", is_flag=True, help="Print the new manifest as one JSON object.")
def train_ranker(
    datasets: Sequence[tuple[str, str]],
    model: Path,
    out: Path,
    until: str | None,
    own_vectors: bool,
    rows: int,
    thin_evidence: bool,
    without: tuple[str, ...],
    epochs: int,
    seed: int,
    threads: int,
    as_json: bool,
) -> None:
    """Train the second stage: a small network that orders the candidates.

    It learns which of a user's candidates came next: in the validation part of a published split, with
    co-visitation and popularity counted from what came before alone; in data with times, all along the
    stream, with the evidence as it was. Evidence and candidates are as the settings [evidence] and [ranking]
    say (FRESHET_CONFIG, FRESHET_EVIDENCE__WINDOW and so on): give the worker the same. With one data set,
    vectors come from the model as it is; with several, each is whitened by itself and the text tower is
    shared, and factors, which are of items, are left out. With --thin-evidence questions are asked again at
    each of five younger ages (evidence of a sample of the users, 0 to 6.4 events an item).

    \b
    Examples:
      freshet train-ranker --dataset unisrec amazon_scientific/ --model models/ --out models/
      freshet train-ranker --dataset online-retail online_retail/ --until 0.8 --model models/ --out models/
    """
    import_factory()
    training = importlib.import_module("encoders.ranker")
    files = importlib.import_module("exporters.ranker_files")
    loaded = [load(name, Path(path)) for name, path in datasets]
    config = training.RankerConfig(seed=seed, epochs=epochs, threads=threads)
    replayed = replay_of(load_settings())
    with TrainingBar() as bar:
        own = own_vectors or len(loaded) > 1
        sources = [
            _rows(data, model, until, own, thin_evidence, rows, seed, threads, replayed, bar)
            for data in loaded
        ]
        # Factors are of one shop's items: no ranker for several can read them.
        dropped = {*without, *(["factors"] if len(sources) > 1 else [])}
        sources = [source.without(dropped) for source in sources]
        outcome = training.train_ranker(sources, config, bar.update)
    data = DataWindow(dataset="+".join(name for name, _ in datasets), interactions=outcome.rows)
    metrics = {"ranker_held_out_ndcg_at_10": outcome.ndcg_at_10, "ranker_rows": float(outcome.rows)}
    written = files.with_ranker(
        model, outcome.ranker, out, factors=sources[0].factors, data=data, metrics=metrics
    )
    print_model(written, as_json)


def _rows(
    data: Dataset,
    model: Path,
    until: str | None,
    own: bool,
    thin: bool,
    rows: int,
    seed: int,
    threads: int,
    replayed: ReplayConfig,
    bar: TrainingBar,
) -> RankingRows:
    """One data set's rows; ``own``: with vectors whitened on what of this data set's catalogue is known;
    ``thin``: with thin evidence, too."""
    from encoders.config import ModelConfig
    from encoders.progressive_rows import progressive_rows
    from encoders.ranking_rows import ranking_rows
    from encoders.thin_evidence import rows_of_all_ages
    from exporters.model_factory import make_untrained

    timed = None if data.split is not None or data.ordered else past_of(data, until)
    text_vectors = load_model(model, threads=threads).encode_texts([item.text for item in data.items])
    known = np.ones(len(data.items), np.bool_) if timed is None else timed[1].arrived
    with TemporaryDirectory(prefix="freshet-ranker-") as scratch:
        folder = model
        if own:
            items = [item for item, there in zip(data.items, known) if there]
            folder = make_untrained(
                items, Path(scratch), ModelConfig(), text_from=model, text_vectors=text_vectors[known]
            )
        serving = load_model(folder, threads=threads)
        if timed is not None:
            past, stage = timed[0], replace(timed[1], text_vectors=text_vectors)
            return progressive_rows(
                serving, past, stage, data.items, replayed, max_rows=rows, seed=seed, progress=bar.update
            )
        rows_of = rows_of_all_ages if thin else ranking_rows
        return rows_of(
            serving,
            serving.item_vectors(text_vectors),
            training_sequences(data, seed),
            replayed.covisitation,
            max_rows=rows,
            seed=seed,
            progress=bar.update,
        )
