"""A model's ranker: into a model folder, into a new version of a model, and the one that comes with Freshet.

Needs the extra ``train``. How the packaged ranker was trained is in ``docs/evaluation.md``; of the data
nothing but its weights is shipped.
"""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

import msgspec
from safetensors.torch import load_file, save_file

from encoders.errors import ModelError
from encoders.factors import ItemFactors
from encoders.ranker import Ranker
from exporters.factor_files import write_factors
from exporters.model_manifest import (
    FACTORS,
    GOLDEN,
    MANIFEST,
    RANKER,
    RANKER_WEIGHTS,
    DataWindow,
    read_manifest,
)
from exporters.model_store import ModelFacts, load_model, resolve_model, write_model
from exporters.onnx_export import OPSET, export_ranker

PACKAGED = "default_ranker.safetensors"


def write_ranker(ranker: Ranker, folder: Path, factors: ItemFactors | None = None) -> None:
    """Write ``ranker.onnx``, its weights and the items' factors into a folder that is being built."""
    save_file(
        {name: value.contiguous() for name, value in ranker.state_dict().items()}, folder / RANKER_WEIGHTS
    )
    export_ranker(ranker, folder / RANKER)
    if factors is not None:
        write_factors(factors, folder)


def read_ranker(weights: Path) -> Ranker:
    """Read a ranker's weights back; raises ``ModelError`` where they are of other features."""
    tensors = load_file(weights)
    hidden = len(tensors["layers.0.bias"])
    ranker = Ranker(hidden=hidden)
    try:
        ranker.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"the ranker in {weights} reads other features: train it again") from error
    return ranker.eval()


def default_ranker() -> Ranker | None:
    """The packaged ranker, or ``None`` in a package without one."""
    resource = files("encoders").joinpath(PACKAGED)
    if not resource.is_file():
        return None
    with as_file(resource) as path:
        return read_ranker(path)


def write_default_ranker(folder: Path) -> None:
    """Give a new model the packaged ranker."""
    ranker = default_ranker()
    if ranker is not None:
        write_ranker(ranker, folder)


def copy_ranker(source: Path, folder: Path) -> None:
    """Give a model its parent's ranker, where that has one, with what it reads."""
    for name in (RANKER, RANKER_WEIGHTS, FACTORS):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def with_ranker(
    model: Path,
    ranker: Ranker,
    out: Path,
    *,
    factors: ItemFactors | None = None,
    data: DataWindow,
    metrics: dict[str, float],
) -> Path:
    """Write the model at ``model`` again with another ranker; returns the new version's folder in ``out``."""
    load_model(model)
    source = resolve_model(model)
    parent = read_manifest(source)

    def build(folder: Path) -> ModelFacts:
        for name in parent.files.keys() - {GOLDEN, MANIFEST, RANKER, RANKER_WEIGHTS, FACTORS}:
            shutil.copyfile(source / name, folder / name)
        write_ranker(ranker, folder, factors)
        return ModelFacts(
            parent=parent.version,
            opset=OPSET,
            text_model=parent.text_model,
            text_digest=parent.text_digest,
            trained=(*(part for part in parent.trained if part != "ranker"), "ranker"),
            data=msgspec.structs.replace(data, items=parent.data.items),
            metrics=parent.metrics | metrics,
        )

    return write_model(out, build, name=parent.name)
