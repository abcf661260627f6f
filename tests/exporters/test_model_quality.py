"""What a model is worth on public data: takes minutes, so only with FRESHET_SLOW=1."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from encoders.batching import from_leave_one_out
from encoders.config import ModelConfig, TrainingConfig
from encoders.datasets import Dataset, load
from encoders.runtime import ServingModel
from exporters.model_factory import make_untrained, pretrain
from exporters.model_store import load_model

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif("FRESHET_SLOW" not in os.environ, reason="takes minutes: set FRESHET_SLOW=1"),
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def scientific(data_dir: Path) -> Dataset:
    return load("unisrec", data_dir / "amazon_scientific")


@pytest.fixture(scope="module")
def vectors(scientific: Dataset, untrained_model: Path) -> np.ndarray:
    return load_model(untrained_model, threads=2).encode_texts([item.text for item in scientific.items])


@pytest.fixture(scope="module")
def untrained(
    tmp_path_factory: pytest.TempPathFactory, scientific: Dataset, vectors: np.ndarray, untrained_model: Path
) -> Path:
    out = tmp_path_factory.mktemp("scientific")
    return make_untrained(
        scientific.items, out, ModelConfig(), text_from=untrained_model, text_vectors=vectors
    )


def ranks_of_targets(model: ServingModel, data: Dataset, vectors: np.ndarray) -> np.ndarray:
    """0-based ranks of the test targets over all items; histories go through ``prefill``."""
    assert data.split is not None
    items, ranks = model.item_vectors(vectors), []
    for start in range(0, len(data.split.test), 512):
        cases = data.split.test[start : start + 512]
        lengths = np.array([min(len(history), 50) for history, _ in cases])
        history = np.zeros((len(cases), lengths.max(), model.dim), np.float32)
        for row, (seen, _) in enumerate(cases):
            history[row, : lengths[row]] = items[seen[-50:]]
        types = np.ones(history.shape[:2], np.int64)
        _, interests = model.prefill(history, types, np.zeros(types.shape, np.float32), lengths)
        scores = interests @ items.T
        wanted = scores[np.arange(len(cases)), [target for _, target in cases]]
        ranks.append((scores > wanted[:, None]).sum(axis=1))
    return np.concatenate(ranks)


def test_untrained_model_recalls_as_much_as_was_measured(
    untrained: Path, scientific: Dataset, vectors: np.ndarray
) -> None:
    assert (ranks_of_targets(load_model(untrained), scientific, vectors) < 10).mean() >= 0.105


def test_pretrained_model_beats_it(untrained: Path, scientific: Dataset, vectors: np.ndarray) -> None:
    assert scientific.split is not None
    data = from_leave_one_out(scientific.split.train, scientific.split.valid)
    folder = pretrain(
        data,
        scientific.items,
        untrained.parent,
        ModelConfig(),
        TrainingConfig(),
        parent=untrained,
        text_vectors=vectors,
    )
    ranks = ranks_of_targets(load_model(folder), scientific, vectors)
    assert (ranks < 10).mean() >= 0.118
    assert np.where(ranks < 10, 1 / np.log2(ranks + 2), 0).mean() >= 0.062
