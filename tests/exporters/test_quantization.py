from __future__ import annotations

from pathlib import Path

import pytest

from encoders.errors import ModelError
from exporters.model_manifest import INT8_METRIC, read_manifest
from exporters.model_store import load_model
from exporters.quantization import quantize_text
from streams.demo.catalogue import make_catalogue

TEXTS = [item.text for item in make_catalogue(60, 7)]


@pytest.fixture(scope="module")
def int8(untrained_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantize_text(untrained_model, TEXTS, tmp_path_factory.mktemp("int8"), least_overlap=0.5)


def test_an_int8_model_is_smaller_and_loads(int8: Path, untrained_model: Path) -> None:
    assert load_model(int8).version == int8.name
    sizes = [(folder / "text.onnx").stat().st_size for folder in (int8, untrained_model)]
    assert sizes[0] < sizes[1] / 2


def test_the_manifest_says_what_of_the_ranking_is_kept(int8: Path) -> None:
    assert 0.5 <= read_manifest(int8).metrics[INT8_METRIC] <= 1.0


def test_int8_texts_are_not_taken_for_those_of_the_original(int8: Path, untrained_model: Path) -> None:
    assert read_manifest(int8).text_digest != read_manifest(untrained_model).text_digest


def test_a_tower_that_loses_the_ranking_is_refused(untrained_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="keep the model as it is"):
        quantize_text(untrained_model, TEXTS, tmp_path, least_overlap=1.0)
    assert not list(tmp_path.iterdir())


def test_few_texts_cannot_tell(untrained_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="at least 20"):
        quantize_text(untrained_model, TEXTS[:19], tmp_path)
