"""``freshet model``: init, fetch, show, quantize and distill."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from encoders.config import ModelConfig, TrainingConfig
from encoders.datasets import NAMES, load
from encoders.errors import SettingsError
from encoders.events import Item
from exporters.model_fetch import fetch_model
from exporters.model_manifest import Manifest, read_manifest
from exporters.model_store import load_model, point_latest, resolve_model
from streams.cli.catalogue import read_catalogue
from streams.cli.training_progress import TrainingBar, import_factory
from streams.cli.until import UNTIL, past_of

PATH = click.Path(path_type=Path)


@click.group()
def model() -> None:
    """Make and inspect models."""


@model.command()
@click.option("--catalog", type=PATH, help="items.jsonl: one JSON object a line, as in the topic `items`.")
@click.option("--dataset", nargs=2, metavar="NAME PATH", help=f"Items of a data set: {', '.join(NAMES)}.")
@click.option("--until", metavar="SHARE|TIME", help=UNTIL + " For evaluation.")
@click.option("--out", type=PATH, required=True, help="Models folder; the version becomes its `latest`.")
@click.option("--dim", type=click.IntRange(2, 4096), default=128, show_default=True, help="Dimensions.")
@click.option("--max-tokens", type=click.IntRange(8, 8192), default=128, show_default=True, help="Of a text.")
@click.option(
    "--text-model",
    help="Hugging Face id, its folder, or one with text.onnx and tokenizer.json. Default: all-MiniLM-L6-v2.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def init(
    catalog: Path | None,
    dataset: tuple[str, str] | None,
    until: str | None,
    out: Path,
    dim: int,
    max_tokens: int,
    text_model: str | None,
    as_json: bool,
) -> None:
    """Make a model from a catalogue, with no training: a shop can start on day one.

    \b
    Example:
      freshet model init --catalog items.jsonl --out models/
    where a line of items.jsonl is
      {"item_id": "A1", "title": "Tea pot", "description": "1.2 litres", "categories": ["Kitchen"]}
    """
    name, items = _read_items(catalog, dataset, until)
    factory = import_factory()
    config = ModelConfig(dim=dim, max_tokens=max_tokens)
    with TrainingBar() as bar:
        folder = factory.make_untrained(
            items, out, config, text_model=text_model, dataset=name, progress=bar.update
        )
    print_model(folder, as_json)


@model.command()
@click.argument("uri")
@click.option("--out", type=PATH, required=True, help="Models folder; the version becomes its `latest`.")
@click.option("--digest", metavar="SHA256", help="Of its manifest.json: anything else is refused.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def fetch(uri: str, out: Path, digest: str | None, as_json: bool) -> None:
    """Copy a model from where it is kept, and verify every file of it: what a new pod does first.

    URI is the folder of one version: a path, https://..., or what else fsspec reads here (s3:// needs s3fs).

    \b
    Example:
      freshet model fetch https://models.example.com/freshet/20261101-1a2b3c4d --out models/
    """
    folder = fetch_model(uri, out, digest).folder
    load_model(folder)
    point_latest(out, folder.name)
    print_model(folder, as_json)


@model.command()
@click.argument("path", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
def show(path: Path, as_json: bool) -> None:
    """Verify a model and print what it is: digests, graphs and the golden vector are checked.

    \b
    Example:
      freshet model show models/
    """
    load_model(path)
    print_model(resolve_model(path), as_json)


@model.command()
@click.argument("path", type=PATH)
@click.option("--catalog", type=PATH, help="items.jsonl: its texts tell what the ranking loses.")
@click.option("--dataset", nargs=2, metavar="NAME PATH", help=f"Items of a data set: {', '.join(NAMES)}.")
@click.option("--texts", type=click.IntRange(20), default=1_000, show_default=True, help="Read at most.")
@click.option(
    "--least-overlap",
    type=click.FloatRange(0, 1),
    default=0.85,
    show_default=True,
    help="Share of the ten nearest that must stay.",
)
@click.option("--out", type=PATH, required=True, help="Models folder; the version becomes its `latest`.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
def quantize(
    path: Path,
    catalog: Path | None,
    dataset: tuple[str, str] | None,
    texts: int,
    least_overlap: float,
    out: Path,
    as_json: bool,
) -> None:
    """Make the text tower of a model int8: faster on a CPU, where it keeps the ranking.

    Each text's ten nearest are compared; where too many differ, no model is written. Its vectors are others:
    texts that were encoded before must be encoded again.

    \b
    Example:
      freshet model quantize models/ --catalog items.jsonl --out small/
    """
    _, items = _read_items(catalog, dataset, None)
    import_factory()
    quantization = importlib.import_module("exporters.quantization")
    chosen = [item.text for item in items[:texts]]
    print_model(quantization.quantize_text(path, chosen, out, least_overlap=least_overlap), as_json)


@model.command()
@click.argument("path", type=PATH)
@click.option("--dims", type=click.IntRange(2), default=64, show_default=True, help="Fewer than the model's.")
@click.option("--catalog", type=PATH, help="items.jsonl: whose similarities are to be kept.")
@click.option("--dataset", nargs=2, metavar="NAME PATH", help=f"Items and histories: {', '.join(NAMES)}.")
@click.option("--steps", type=click.IntRange(1), default=300, show_default=True, help="Of training.")
@click.option(
    "--least-overlap",
    type=click.FloatRange(0, 1),
    default=0.7,
    show_default=True,
    help="Share of the ten nearest that must stay.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same weights.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU.")
@click.option("--out", type=PATH, required=True, help="Models folder; the version becomes its `latest`.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
def distill(
    path: Path,
    dims: int,
    catalog: Path | None,
    dataset: tuple[str, str] | None,
    steps: int,
    least_overlap: float,
    seed: int,
    threads: int,
    out: Path,
    as_json: bool,
) -> None:
    """Make a model of fewer dimensions that keeps the ranking: smaller vectors in the store and in memory.

    Its towers learn the model's own similarities, of items and of interests after histories: those of the
    data set, or made-up ones of a catalogue. Held-out items and histories are compared; where too many of the
    ten nearest differ, no model is written. Texts need not be encoded again: workers can swap to it.

    \b
    Example:
      freshet model distill models/ --dims 64 --catalog items.jsonl --out small/
    """
    _, items = _read_items(catalog, dataset, None)
    import_factory()
    distilled_model = importlib.import_module("exporters.distilled_model")
    histories = None
    if dataset is not None:
        from streams.cli.pretrain import training_sequences

        histories = training_sequences(load(dataset[0], Path(dataset[1])), seed).train
    with TrainingBar() as bar:
        folder = distilled_model.distill(
            path,
            [item.text for item in items],
            out,
            dim=dims,
            histories=histories,
            steps=steps,
            least_overlap=least_overlap,
            training=TrainingConfig(seed=seed, threads=threads),
            progress=bar.update,
        )
    print_model(folder, as_json)


def print_model(folder: Path, as_json: bool) -> None:
    """Print a model's manifest: a table, or one JSON object with the folder's path."""
    manifest = read_manifest(folder)
    if as_json:
        click.echo(msgspec.json.encode({"path": str(folder), **msgspec.to_builtins(manifest)}))
        return
    table = Table(show_header=False, box=None)
    for name, value in _facts(folder, manifest):
        table.add_row(f"[bold]{name}", value)
    Console().print(table)


def _facts(folder: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield "model", f"{manifest.name} {manifest.version}"
    yield "path", str(folder)
    yield "created", manifest.created_at
    yield "parent", manifest.parent or "none"
    yield "trained", ", ".join(manifest.trained) or "nothing: whitened text vectors and their decayed mean"
    yield "made from", _window(manifest)
    yield "text model", f"{manifest.text_model} ({manifest.text_dim} dimensions)"
    yield "vectors", f"{manifest.dim} dimensions, state {manifest.state_dim}"
    yield "ranker", f"{len(manifest.ranker_features)} features" if manifest.ranker_features else "none"
    for name, value in sorted(manifest.metrics.items()):
        yield name, f"{value:.4f}"
    size = sum(entry.bytes for entry in manifest.files.values())
    yield "files", f"{len(manifest.files)} verified, {size / 1e6:.0f} MB, opset {manifest.opset}"


def _window(manifest: Manifest) -> str:
    data = manifest.data
    source = f" of {data.dataset}" if data.dataset else ""
    return f"{data.items:,} items and {data.interactions:,} interactions{source}"


def _read_items(
    catalog: Path | None, dataset: tuple[str, str] | None, until: str | None
) -> tuple[str, list[Item]]:
    if (catalog is None) == (dataset is None):
        raise SettingsError("name one source of items: --catalog items.jsonl, or --dataset NAME PATH")
    if dataset is not None:
        data = load(dataset[0], Path(dataset[1]))
        known = [True] * len(data.items) if until is None else past_of(data, until)[1].arrived
        return dataset[0], [item for item, there in zip(data.items, known) if there]
    if until is not None:
        raise SettingsError("--until belongs to --dataset: a catalogue has no times")
    assert catalog is not None
    return "", read_catalogue(catalog)
