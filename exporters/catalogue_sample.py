"""A sample of a catalogue's text vectors in the model's folder: what another catalogue is compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file

from encoders.alignment import alignment
from encoders.towers import ItemTower
from exporters.tower_files import load_towers

SAMPLE = "catalogue_sample.safetensors"
ROWS = 512

Vectors = npt.NDArray[np.float32]


def write_sample(folder: Path, text_vectors: Vectors) -> None:
    """Write up to ``ROWS`` of the text vectors [n, text_dim], in half precision, drawn with a fixed seed."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(text_vectors))[:ROWS])
    save_file({"text_vectors": text_vectors[chosen].astype(np.float16)}, folder / SAMPLE)


def alignment_metrics(parent: Path, text_vectors: Vectors, adapted: ItemTower) -> dict[str, float]:
    """How far the parent's catalogue is from another one [n, text_dim]: as texts, and through the adaptors.

    Nothing where the parent has no sample, or a catalogue has fewer than two items.
    """
    file = parent / SAMPLE
    if not file.is_file() or len(text_vectors) < 2:
        return {}
    sample = load_file(file)["text_vectors"].astype(np.float32)
    if len(sample) < 2:
        return {}
    _, towers = load_towers(parent)
    before = alignment(sample, text_vectors)
    after = alignment(_whitened(towers.item, sample), _whitened(adapted, text_vectors))
    return {
        "centroid_distance_before": before.centroid_distance,
        "centroid_distance_after": after.centroid_distance,
        "mmd_before": before.mmd,
        "mmd_after": after.mmd,
    }


def _whitened(tower: ItemTower, text_vectors: Vectors) -> Vectors:
    with torch.no_grad():
        white: Vectors = tower.whiten(torch.from_numpy(text_vectors))[:, : tower.dim].numpy()
    return white
