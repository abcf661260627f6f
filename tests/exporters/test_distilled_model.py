"""Whole models of fewer dimensions: their files, their manifests, and that a worker's parts serve them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.errors import ModelError
from exporters.distilled_model import distill
from exporters.model_manifest import DISTILLED_METRIC, RANKER_WEIGHTS, read_manifest
from exporters.model_store import load_model
from streams.demo.catalogue import make_catalogue

TEXTS = [item.text for item in make_catalogue(200, 7)]


@pytest.fixture(scope="module")
def vectors(untrained_model: Path) -> np.ndarray:
    return load_model(untrained_model).encode_texts(TEXTS)


@pytest.fixture(scope="module")
def small(untrained_model: Path, vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("small")
    return distill(untrained_model, TEXTS, out, dim=64, steps=10, least_overlap=0.3, text_vectors=vectors)


def test_a_distilled_model_has_fewer_dimensions_and_loads(small: Path) -> None:
    model = load_model(small)
    assert (model.dim, model.item_vectors(model.encode_texts(TEXTS[:2])).shape) == (64, (2, 64))


def test_its_texts_are_the_parents_so_that_workers_can_swap_to_it(small: Path, untrained_model: Path) -> None:
    assert read_manifest(small).text_digest == read_manifest(untrained_model).text_digest


def test_the_manifest_names_the_parent_and_the_share_that_is_kept(small: Path, untrained_model: Path) -> None:
    manifest = read_manifest(small)
    assert manifest.parent == untrained_model.name
    assert 0.3 <= manifest.metrics[DISTILLED_METRIC] <= 1.0


def test_the_ranker_comes_along(small: Path, untrained_model: Path) -> None:
    assert (small / RANKER_WEIGHTS).read_bytes() == (untrained_model / RANKER_WEIGHTS).read_bytes()


def test_where_too_much_is_lost_no_model_is_written(
    untrained_model: Path, vectors: np.ndarray, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="choose more dimensions"):
        distill(untrained_model, TEXTS, tmp_path, dim=4, steps=1, text_vectors=vectors)
    assert not list(tmp_path.iterdir())


def test_few_items_cannot_tell(untrained_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="at least 100"):
        distill(untrained_model, TEXTS[:99], tmp_path, dim=64)
