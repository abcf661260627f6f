"""``freshet evaluate``: reads the data set, and hands over to the protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from encoders.datasets import NAMES, Dataset, load
from encoders.errors import DataError, SettingsError
from encoders.features import GROUPS
from streams.cli import evaluate_leave_one_out, evaluate_progressive
from streams.cli.evaluate_output import Output, check_output
from streams.cli.evaluate_two_stage import Training

Protocol = Literal["leave-one-out", "progressive"]
PATH = click.Path(path_type=Path)
FIGURE = ".png or .svg"


@click.command()
@click.option("--dataset", required=True, metavar="NAME[:PATH]", help=f"NAME: {', '.join(NAMES)}.")
@click.argument("path", type=PATH, required=False)
@click.option(
    "--protocol",
    type=click.Choice(["leave-one-out", "progressive"]),
    help="[default: progressive where the data set has times]",
)
@click.option("--methods", help="Comma-separated, or all.")
@click.option("--model", type=PATH, help="Evaluate this model, or read texts with it, instead of making one.")
@click.option("--seed", default=0, show_default=True, help="Seed of training and intervals.")
@click.option("--ablation", is_flag=True, help="Compare the parts of the two stages, in place of methods.")
@click.option("--epochs", type=click.IntRange(1), help="Train for at most this many epochs.")
@click.option(
    "--rows", type=click.IntRange(20), default=10_000, show_default=True, help="Of training rankers."
)
@click.option("--without", multiple=True, type=click.Choice(list(GROUPS)), help="Features `ranker` lacks.")
@click.option("--train-only", is_flag=True, help="Count nothing from the validation targets.")
@click.option("--tune", is_flag=True, help="Choose the baselines' settings again, on the past. Long.")
@click.option("--sasrec-python", type=PATH, help="A Python that has rectools[torch]: adds sasrec.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a method: all figures.")
@click.option("--markdown", type=PATH, help="Write the figures as Markdown tables.")
@click.option("--plot", type=PATH, help=f"Draw NDCG@10 with intervals: {FIGURE}. Needs the extra `bench`.")
def evaluate(
    dataset: str,
    path: Path | None,
    protocol: Protocol | None,
    methods: str | None,
    model: Path | None,
    seed: int,
    ablation: bool,
    epochs: int | None,
    rows: int,
    without: tuple[str, ...],
    train_only: bool,
    tune: bool,
    sasrec_python: Path | None,
    as_json: bool,
    markdown: Path | None,
    plot: Path | None,
) -> None:
    """Compare ways to recommend on real data.

    PROGRESSIVE, for data with times: what lies before the time of the event at 80 % is learned, the rest is
    replayed in order: recommend for every basket (one user's events of one moment), then learn from it.
    Figures are for all, users known at the split, new users, and items that came after it, with 95 %
    intervals by bootstrap over users. The settings of baselines were chosen on the last fifth of the past.

    \b
    newest             the items that arrived last (a probe: see docs/evaluation.md)
    popularity         of all time
    popularity-7-days  of the last 7 days
    own-history        what the user had most often (where things are bought again)
    covisitation       what the same users turned to
    vsknn              session neighbours
    als                matrix factorisation of `implicit` (extra `bench`), users folded in
    decayed-text       decayed mean of whitened text vectors (extra `train`, or --model)
    freshet            the running pipeline itself, with --model on the in-process engine
    two-stage          an offline copy of it, with --model: candidates and ranker in a tenth of the time
    sasrec             self-attention of RecTools, trained on the past (--sasrec-python)

    LEAVE-ONE-OUT, for data with an order and a published split: for every test user the whole catalogue is
    ranked, nothing sampled. Counts (popularity, covisitation, vsknn, and the evidence of fusion and rankers)
    are of all that came before the test target. Models are trained on the training part, rankers on the
    validation targets, in a temporary folder; that needs the extra `train`, unless --model names a model. Its
    ranker is then used as it is. Settings were chosen by validation NDCG@10 on Amazon Scientific.

    \b
    popularity, covisitation, vsknn
    untrained          similarity to the decayed mean of text vectors (also: decayed-text)
    fusion             untrained + covisitation, nothing trained
    ranker-zero-shot   their candidates ordered by the ranker that comes with Freshet
    ranker             the same, trained on this data set's validation targets
    pretrained         towers trained on this data set

    ABLATION, of either protocol (of the progressive one with --model): each source alone, both, a ranker
    without each group of features, on fewer rows, on all, and with diversity. Rankers are trained on the
    past, or on the validation targets; evidence and candidates are as the settings say.

    \b
        freshet evaluate --dataset movielens:ml-100k
        freshet evaluate --dataset online-retail:online_retail --markdown figures.md --plot figures.svg
        freshet evaluate --dataset unisrec:amazon_scientific --json
        freshet evaluate --dataset unisrec:amazon_scientific --methods all
    """
    output = Output(as_json, markdown, plot)
    check_output(output)
    data = _load(dataset, path)
    chosen = protocol or ("leave-one-out" if data.split is not None else "progressive")
    if chosen == "progressive":
        parts = Training(rows, epochs, seed) if ablation else None
        options = evaluate_progressive.Options(methods, model, seed, tune, sasrec_python, parts)
        evaluate_progressive.evaluate(data, options, output)
        return
    if data.split is None:
        raise DataError(f"{data.name} has times and no published split: use --protocol progressive")
    if tune or sasrec_python:
        raise SettingsError("--tune and --sasrec-python belong to --protocol progressive")
    settings = evaluate_leave_one_out.Settings(seed, epochs, rows, without, train_only, ablation)
    evaluate_leave_one_out.evaluate(data, data.split, methods, model, settings, output)


def _load(dataset: str, path: Path | None) -> Dataset:
    name, colon, behind = dataset.partition(":")
    if bool(colon) == (path is not None):
        raise SettingsError("name the data set once: --dataset NAME:PATH, or --dataset NAME PATH")
    return load(name, path or Path(behind))
