from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.batching import TrainingSequences, sequences_of
from encoders.config import ModelConfig, TrainingConfig
from encoders.events import Item
from encoders.features import FEATURES
from encoders.ranker import RankingRows
from encoders.runtime import ServingModel
from exporters.model_manifest import RANKER_WEIGHTS, read_manifest
from exporters.source_pretraining import Source, pretrain_sources

CONFIG = ModelConfig(dim=16, hidden=16, item_hidden=16)
TRAINING = TrainingConfig(epochs=2, batch_size=32, learning_rate=3e-2)


def walks(users: int, items: int) -> TrainingSequences:
    starts = np.random.default_rng(users).integers(0, items, users)
    histories = [[int(start + i) % items for i in range(6)] for start in starts]
    return TrainingSequences(
        sequences_of(histories),
        sequences_of([history[:3] for history in histories]),
        np.array([history[3] for history in histories]),
    )


def rows(model: ServingModel, text_vectors: np.ndarray) -> RankingRows:
    assert model.item_vectors(text_vectors).shape == (len(text_vectors), CONFIG.dim)
    features = np.random.default_rng(0).normal(size=(30, 5, len(FEATURES))).astype(np.float32)
    return RankingRows(features, np.ones((30, 5), bool), np.arange(5) == np.zeros((30, 1)))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory, untrained_model: Path) -> Path:
    sources = [
        Source("shoes", [Item(str(i), f"shoe {i}") for i in range(30)], walks(120, 30), rows),
        Source("books", [Item(str(i), f"a book about {i}") for i in range(20)], walks(40, 20)),
    ]
    out = tmp_path_factory.mktemp("sources")
    return pretrain_sources(sources, out, CONFIG, TRAINING, text_from=untrained_model)


def test_the_manifest_names_all_sources_and_what_they_share(pretrained: Path) -> None:
    manifest = read_manifest(pretrained)
    assert manifest.data.dataset == "shoes+books"
    assert (manifest.data.items, manifest.data.interactions) == (30 + 20, (120 + 40) * 6)
    assert set(manifest.trained) <= {"decay", "user_residual", "ranker"}
    assert {"adaptor", "item_residual", "text"} <= set(manifest.frozen)


def test_the_ranker_is_trained_on_the_rows_that_sources_give(pretrained: Path, untrained_model: Path) -> None:
    assert "ranker" in read_manifest(pretrained).trained
    assert (pretrained / RANKER_WEIGHTS).read_bytes() != (untrained_model / RANKER_WEIGHTS).read_bytes()


def test_nothing_but_the_version_is_left_behind(pretrained: Path) -> None:
    assert {path.name for path in pretrained.parent.iterdir()} == {pretrained.name, "latest"}
