from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streams.trainer.text_vectors import TextVectors
from tests.fakes.model import TEXT_DIM, FakeModel, text_vector

DIGEST = "ab" * 32


def test_a_text_is_encoded_once(tmp_path: Path) -> None:
    model = FakeModel()
    TextVectors(tmp_path).of(model, DIGEST, ["one", "two", "one"])
    found = TextVectors(tmp_path).of(model, DIGEST, ["two", "three", "one"])
    assert sorted(model.encoded) == ["one", "three", "two"]
    np.testing.assert_array_equal(found, [text_vector(text) for text in ("two", "three", "one")])


def test_another_text_tower_has_a_file_of_its_own(tmp_path: Path) -> None:
    model = FakeModel()
    for digest in (DIGEST, "cd" * 32):
        TextVectors(tmp_path).of(model, digest, ["one"])
    assert model.encoded == ["one", "one"]


@pytest.mark.parametrize("keep", [0, 30, 200])
def test_a_file_that_was_cut_off_is_made_anew(tmp_path: Path, keep: int) -> None:
    model = FakeModel()
    expected = TextVectors(tmp_path).of(model, DIGEST, ["one", "two"])
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:keep])
    np.testing.assert_array_equal(TextVectors(tmp_path).of(model, DIGEST, ["one", "two"]), expected)


def test_no_texts_are_no_vectors(tmp_path: Path) -> None:
    assert TextVectors(tmp_path).of(FakeModel(), DIGEST, []).shape == (0, TEXT_DIM)
