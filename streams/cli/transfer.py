"""``freshet transfer``."""

from __future__ import annotations

import importlib
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from encoders.batching import TrainingSequences, sequences_of
from encoders.config import TrainingConfig
from encoders.datasets import NAMES, Dataset, load
from encoders.errors import DataError
from encoders.evaluation.learning_curve import sampled
from streams.cli.loss_weights import loss_weights
from streams.cli.model import PATH, print_model
from streams.cli.pretrain import training_sequences
from streams.cli.training_progress import TrainingBar, import_factory

if TYPE_CHECKING:
    from encoders.transfer import Policy

DEFAULTS = TrainingConfig()


@click.command()
@click.option("--from", "parent", type=PATH, required=True, help="The model whose knowledge is carried over.")
@click.option("--dataset", nargs=2, metavar="NAME PATH", required=True, help=f"NAME: {', '.join(NAMES)}.")
@click.option("--out", type=PATH, required=True, help="Models folder; the version becomes its `latest`.")
@click.option(
    "--policy",
    type=click.Choice(["zero-shot", "adaptor", "adaptor-then-all", "scratch", "plain-scratch"]),
    default="adaptor-then-all",
    show_default=True,
    help="What is tuned.",
)
@click.option("--same-shop", is_flag=True, help="Of the parent's own shop: items keep their meaning.")
@click.option(
    "--interactions",
    type=click.IntRange(0),
    help="Learn from so many: the first in time, or those of users drawn at random. [all]",
)
@click.option(
    "--replay",
    nargs=2,
    metavar="NAME PATH",
    help="Against forgetting: what users of one of the parent's shops did, mixed into the training.",
)
@click.option(
    "--replay-share",
    type=click.FloatRange(0.0, 1.0, max_open=True),
    default=DEFAULTS.replay_share,
    show_default=True,
    help="Of the training steps, with --replay.",
)
@click.option("--epochs", type=click.IntRange(1), default=DEFAULTS.epochs, show_default=True, help="At most.")
@loss_weights
@click.option("--seed", type=int, default=DEFAULTS.seed, show_default=True, help="Same seed, same weights.")
@click.option("--threads", type=click.IntRange(1), default=DEFAULTS.threads, show_default=True, help="CPU.")
@click.option("--resume", is_flag=True, help="Go on after the last whole epoch of an interrupted run.")
@click.option("--json", "as_json", is_flag=True, help="Print the new manifest as one JSON object.")
def transfer(
    parent: Path,
    dataset: tuple[str, str],
    out: Path,
    policy: Policy,
    same_shop: bool,
    interactions: int | None,
    replay: tuple[str, str] | None,
    replay_share: float,
    epochs: int,
    click_loss_weight: float,
    purchase_loss_weight: float,
    seed: int,
    threads: int,
    resume: bool,
    as_json: bool,
) -> None:
    """Make a model for a shop from what another shop's model knows.

    How evidence is weighed carries over (decays, the ranker); what items mean does not, so whitening, the
    shop's adaptor, is fitted on its own texts. zero-shot does nothing else. adaptor tunes gains, decays and
    the ranker. adaptor-then-all then tunes everything at a lower rate, held to the parent. scratch learns
    from the data alone. Each step stays only where it is better on validation beyond noise; plain-scratch
    keeps what comes out, to compare with.

    \b
    Examples:
      freshet transfer --from models/ --dataset unisrec amazon_scientific/ --out scientific/
      freshet transfer --from models/ --dataset unisrec amazon_scientific/ --out scientific/ \
          --replay unisrec amazon_games/
    """
    name, path = dataset
    data = _limited(load(name, Path(path)), interactions, seed)
    import_factory()
    factory = importlib.import_module("exporters.transfer_factory")
    training = TrainingConfig(
        epochs=epochs,
        seed=seed,
        threads=threads,
        replay_share=replay_share,
        click_loss_weight=click_loss_weight,
        purchase_loss_weight=purchase_loss_weight,
    )
    source = None
    if replay is not None:
        shop = load(replay[0], Path(replay[1]))
        source = factory.SourceBehaviour(shop.items, training_sequences(shop, seed))
    with TrainingBar() as bar:
        folder = factory.transfer(
            parent,
            _sequences(data, seed),
            data.items,
            out,
            policy,
            training,
            domain="same" if same_shop else "new",
            source=source,
            resume=resume,
            progress=bar.update,
        )
    print_model(folder, as_json)


def _limited(data: Dataset, interactions: int | None, seed: int) -> Dataset:
    if interactions is None:
        return data
    if data.split is not None:
        return replace(data, split=sampled(data.split, interactions, seed))
    return replace(data, read=lambda: islice(data.interactions(), interactions))


def _sequences(data: Dataset, seed: int) -> TrainingSequences:
    """Nothing at all is no error here: there is still a catalogue."""
    try:
        return training_sequences(data, seed)
    except DataError:
        return TrainingSequences(sequences_of([]), dataset=data.name)
