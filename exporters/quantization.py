"""A model's text tower in 8-bit integers: used where it keeps the ranking. Needs the extra ``train``."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from encoders.errors import ModelError
from encoders.ranking_overlap import neighbour_overlap
from encoders.sessions import open_session
from encoders.text import TextEncoder
from exporters.model_manifest import GOLDEN, INT8_METRIC, MANIFEST, read_manifest
from exporters.model_store import ModelFacts, load_model, resolve_model, write_model

LEAST_TEXTS = 20


def quantize_text(model: Path, texts: Sequence[str], out: Path, *, least_overlap: float = 0.85) -> Path:
    """Write the model again with an int8 text tower; returns the new version's folder in ``out``.

    Dynamic, a scale for each channel: with one for each tensor too much of the ranking is lost. The gate is
    on ranking: each text's ten nearest of ``texts``, with both graphs. Raises ``ModelError`` where fewer than
    ``least_overlap`` of them are the same, or there are fewer than 20 texts to tell.
    """
    if len(texts) < LEAST_TEXTS:
        raise ModelError(
            f"{len(texts)} texts: give at least {LEAST_TEXTS}, so that the ranking can be compared"
        )
    source = resolve_model(model)
    serving = load_model(source)
    parent = read_manifest(source)
    with TemporaryDirectory(prefix="freshet-int8-") as scratch:
        graph = Path(scratch) / "text.onnx"
        _quantize(source / "text.onnx", graph)
        small = TextEncoder.open(source / "tokenizer.json", open_session(graph)).encode(texts)
        items, other = serving.item_vectors(serving.encode_texts(texts)), serving.item_vectors(small)
        overlap = neighbour_overlap(items, other)
        if not overlap >= least_overlap:
            raise ModelError(
                f"the int8 text tower keeps {overlap:.2f} of the ten best, {least_overlap:.2f} are wanted: "
                "keep the model as it is"
            )

        def build(folder: Path) -> ModelFacts:
            for name in parent.files.keys() - {GOLDEN, MANIFEST, "text.onnx"}:
                shutil.copyfile(source / name, folder / name)
            shutil.copyfile(graph, folder / "text.onnx")
            return ModelFacts(
                parent=parent.version,
                opset=parent.opset,
                text_model=f"{parent.text_model}-int8",
                # Other vectors: texts encoded before must be encoded again.
                text_digest=hashlib.sha256(f"int8:{parent.text_digest}".encode()).hexdigest(),
                trained=parent.trained,
                frozen=parent.frozen,
                data=parent.data,
                metrics=parent.metrics | {INT8_METRIC: overlap},
            )

        return write_model(out, build, name=parent.name)


def _quantize(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)
