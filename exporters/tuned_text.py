"""A model whose text tower was tuned on behaviour: written only where it finds next items no worse."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from encoders.batching import TrainingSequences
from encoders.errors import DataError, ModelError
from encoders.progress import Progress, no_progress
from encoders.text_tuning import TextTuning, held_out_pairs, next_pairs, rank_pairs, tune
from encoders.towers import Towers
from encoders.transfer import adapted
from encoders.validation import Ranking, mean
from exporters.catalogue_sample import write_sample
from exporters.model_manifest import DataWindow, read_manifest
from exporters.model_store import ModelFacts, resolve_model, write_model
from exporters.onnx_export import OPSET, default_text_model, export_text, load_text_tower
from exporters.ranker_files import copy_ranker
from exporters.tower_files import digest_of_text, encode_texts, load_towers, write_towers

Vectors = npt.NDArray[np.float32]

REPORT = "text_tuning.json"
LEAST_PAIRS = 20
TEXT_FILES = ("text.onnx", "tokenizer.json")


class TextTuningReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``text_tuning.json``: how it was tuned, and the held-out pairs with both towers."""

    tuning: TextTuning
    pairs: int
    held_out_pairs: int
    losses: list[float]
    """Of the steps."""
    metrics: dict[str, float]


def tune_text(
    model: Path,
    texts: list[str],
    data: TrainingSequences,
    out: Path,
    *,
    text_model: str | None = None,
    tuning: TextTuning | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Tune the text tower of a model on pairs of items and next items; returns the new version in ``out``.

    ``data`` holds indices into ``texts``, the catalogue's. ``text_model`` is what the model's text tower was
    made from (default: the packaged one). Whitening is fitted anew, what was learned about items is left
    behind. The gate: NDCG@10 and recall@10 of the held-out pairs, over all items by the item vectors of both
    models, must not fall. Raises ``ModelError`` where they do, or where ``text_model`` is not the model's;
    ``DataError`` for fewer than 20 pairs or held-out pairs.
    """
    tuning = tuning or TextTuning()
    pairs, held = next_pairs(data.train), held_out_pairs(data)
    if min(len(pairs), len(held)) < LEAST_PAIRS:
        raise DataError(
            f"{len(pairs)} pairs, {len(held)} held out: at least {LEAST_PAIRS} of each are needed"
        )
    source = resolve_model(model)
    parent = read_manifest(source)
    config, towers = load_towers(source)
    tower, tokenizer = load_text_tower(text_model or default_text_model(), config.max_tokens)
    if digest_of_text(tower, tokenizer) != parent.text_digest:
        raise ModelError(
            f"the text tower of {parent.version} was not made from {text_model or 'the packaged text model'}:"
            " name what it was made from with --text-model"
        )
    before = rank_pairs(_items(towers, encode_texts(source, texts, progress)), held)
    losses = tune(tower, Tokenizer.from_str(tokenizer), texts, pairs, tuning, progress)
    with TemporaryDirectory(prefix="freshet-text-") as scratch:
        draft = Path(scratch)
        (draft / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
        export_text(tower.eval(), draft / "text.onnx")
        vectors = encode_texts(draft, texts, progress)
        child = adapted(towers, config, vectors, 0.0, user_residual=True)
        metrics = _figures("text", rank_pairs(_items(child, vectors), held)) | _figures("parent_text", before)
        _require_no_fall(metrics)

        kept = [part for part in parent.trained if part in ("decay", "user_residual")]

        def build(folder: Path) -> ModelFacts:
            for name in TEXT_FILES:
                (folder / name).write_bytes((draft / name).read_bytes())
            write_towers(folder, config, child, metrics)
            copy_ranker(source, folder)
            write_sample(folder, vectors)
            report = TextTuningReport(
                tuning=tuning, pairs=len(pairs), held_out_pairs=len(held), losses=losses, metrics=metrics
            )
            (folder / REPORT).write_bytes(msgspec.json.encode(report))
            return ModelFacts(
                parent=parent.version,
                opset=OPSET,
                text_model=f"{parent.text_model}-tuned",
                text_digest=digest_of_text(tower, tokenizer),
                trained=("text", "adaptor", *kept),
                data=DataWindow.of(data, len(texts)),
                metrics=metrics,
            )

        return write_model(out, build, name=parent.name)


def _items(towers: Towers, vectors: Vectors) -> Vectors:
    with torch.no_grad():
        items: Vectors = towers.eval().item(torch.from_numpy(vectors)).numpy()
    return items


def _figures(name: str, found: Ranking) -> dict[str, float]:
    return {f"{name}_pairs_ndcg_at_10": mean(found.ndcg), f"{name}_pairs_recall_at_10": mean(found.hit)}


def _require_no_fall(metrics: dict[str, float]) -> None:
    for figure in ("ndcg_at_10", "recall_at_10"):
        now, before = metrics[f"text_pairs_{figure}"], metrics[f"parent_text_pairs_{figure}"]
        if not now >= before:
            raise ModelError(
                f"the tuned text tower has {figure} {now:.4f} on held-out pairs, the model's own"
                f" {before:.4f}: keep the model as it is, or tune on more data"
            )
