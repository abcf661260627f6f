"""Item factors in a model folder: ``factors.safetensors``, two arrays. Serving reads it; numpy alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from encoders.errors import ModelCorrupt
from encoders.factors import ItemFactors
from exporters.model_manifest import FACTORS


def write_factors(factors: ItemFactors, folder: Path) -> None:
    """Write factors into a folder that is being built."""
    save_file({"keys": factors.keys, "vectors": factors.vectors}, folder / FACTORS)


def read_factors(folder: Path) -> ItemFactors:
    """Read them back; raises ``ModelCorrupt`` where they are not what :func:`write_factors` writes."""
    try:
        arrays = load_file(folder / FACTORS)
        factors = ItemFactors(arrays["keys"], arrays["vectors"])
    except (SafetensorError, OSError, KeyError) as error:
        raise ModelCorrupt(f"cannot read {folder / FACTORS}: {error}") from error
    if not _sound(factors):
        raise ModelCorrupt(f"{folder / FACTORS} does not hold factors of items: train the ranker again")
    return factors


def _sound(factors: ItemFactors) -> bool:
    keys, vectors = factors.keys, factors.vectors
    shaped = keys.dtype == np.uint64 and vectors.dtype == np.float32 and vectors.ndim == 2
    if not shaped or keys.shape != (len(vectors),):
        return False
    return bool((keys[1:] > keys[:-1]).all() and np.isfinite(vectors).all())
