"""Rankers in model folders: written, verified, carried on; models without one still load."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.errors import ModelCorrupt
from encoders.factors import ItemFactors, item_factors
from encoders.features import FEATURES
from encoders.ranker import Ranker, rank_with
from exporters.factor_files import read_factors, write_factors
from exporters.model_manifest import (
    FACTORS,
    GOLDEN,
    MANIFEST,
    RANKER,
    RANKER_WEIGHTS,
    DataWindow,
    entry_of,
    read_manifest,
)
from exporters.model_store import load_model
from exporters.ranker_files import default_ranker, read_ranker, with_ranker

KNOWN = item_factors(["a", "b", "c"], np.arange(1.0, 7.0, dtype=np.float32).reshape(3, 2))
FEATURE_ROWS = np.random.default_rng(0).normal(size=(2, 7, len(FEATURES))).astype(np.float32)


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    torch.manual_seed(3)
    return Ranker(hidden=16).eval()


@pytest.fixture(scope="module")
def ranked(untrained_model: Path, ranker: Ranker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ranked")
    return with_ranker(untrained_model, ranker, out, data=DataWindow(dataset="x"), metrics={"m": 1.0})


def test_a_model_serves_the_scores_of_its_ranker(ranked, ranker):
    scores = load_model(ranked).rank(FEATURE_ROWS)
    np.testing.assert_allclose(scores, rank_with(ranker)(FEATURE_ROWS), atol=1e-4)


def test_a_new_version_names_its_parent_and_what_was_trained(ranked, untrained_model):
    manifest, parent = read_manifest(ranked), read_manifest(untrained_model)
    assert (manifest.parent, manifest.trained[-1]) == (parent.version, "ranker")
    assert manifest.version != parent.version
    assert manifest.ranker_features == FEATURES


def test_weights_read_back_are_the_same(ranked, ranker):
    np.testing.assert_array_equal(
        rank_with(read_ranker(ranked / RANKER_WEIGHTS))(FEATURE_ROWS), rank_with(ranker)(FEATURE_ROWS)
    )


def test_a_new_model_comes_with_the_packaged_ranker(untrained_model):
    packaged = default_ranker()
    assert packaged is not None
    scores = load_model(untrained_model).rank(FEATURE_ROWS)
    np.testing.assert_allclose(scores, rank_with(packaged)(FEATURE_ROWS), atol=1e-3)


@pytest.fixture(scope="module")
def with_factors(untrained_model: Path, ranker: Ranker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("factors")
    data = DataWindow(dataset="x")
    return with_ranker(untrained_model, ranker, out, factors=KNOWN, data=data, metrics={})


def test_factors_are_served_as_they_were_written(with_factors):
    served = load_model(with_factors).factors
    assert served is not None
    np.testing.assert_array_equal(served.rows(["b", "x", "a"]), KNOWN.rows(["b", "x", "a"]))


def test_other_factors_make_another_version(with_factors, ranked):
    assert with_factors.name != ranked.name


def test_a_ranker_without_factors_takes_the_place_of_one_that_reads_them(with_factors, ranker, tmp_path):
    again = with_ranker(with_factors, ranker, tmp_path, data=DataWindow(), metrics={})
    assert load_model(again).factors is None
    assert not (again / FACTORS).exists()


@pytest.mark.parametrize(
    ("keys", "vectors"),
    [
        ([2, 1], [[1.0], [2.0]]),
        ([1, 2], [[1.0], [np.nan]]),
        ([1, 2, 3], [[1.0], [2.0]]),
        ([1, 2], [1.0, 2.0]),
    ],
    ids=["unordered", "not finite", "too many keys", "not a matrix"],
)
def test_factors_that_are_none_are_refused(keys, vectors, tmp_path):
    write_factors(ItemFactors(np.array(keys, np.uint64), np.array(vectors, np.float32)), tmp_path)
    with pytest.raises(ModelCorrupt, match="factors of items"):
        read_factors(tmp_path)


def test_a_file_that_holds_no_factors_is_refused(tmp_path):
    (tmp_path / FACTORS).write_bytes(b"\x80\x04 no tensors")
    with pytest.raises(ModelCorrupt, match="cannot read"):
        read_factors(tmp_path)


def test_factors_that_the_manifest_does_not_list_are_refused(with_factors, tmp_path):
    folder = copied(with_factors, tmp_path / "m")
    rewrite(folder, lambda manifest: manifest["files"].pop(FACTORS))
    with pytest.raises(ModelCorrupt, match=FACTORS):
        load_model(folder)


def copied(model: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_damaged_ranker_is_refused(ranked, tmp_path):
    folder = copied(ranked, tmp_path / "m")
    data = bytearray((folder / RANKER).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / RANKER).write_bytes(data)
    with pytest.raises(ModelCorrupt, match="not the file that was written"):
        load_model(folder)


def rewrite(folder: Path, change) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_a_ranker_of_other_features_is_refused(ranked, tmp_path):
    folder = copied(ranked, tmp_path / "m")
    rewrite(folder, lambda manifest: manifest.update(ranker_features=["other"]))
    with pytest.raises(ModelCorrupt, match="make the model again"):
        load_model(folder)


def test_a_ranker_that_scores_otherwise_than_promised_is_refused(ranked, untrained_model, tmp_path):
    folder = copied(ranked, tmp_path / "m")
    (folder / RANKER).write_bytes((untrained_model / RANKER).read_bytes())
    entry = entry_of(folder / RANKER)
    rewrite(folder, lambda m: m["files"][RANKER].update(sha256=entry.sha256, bytes=entry.bytes))
    with pytest.raises(ModelCorrupt, match="does not compute what it promises"):
        load_model(folder)


def test_a_folder_from_before_rankers_still_loads(ranked, tmp_path):
    folder = copied(ranked, tmp_path / "m")
    golden = json.loads((folder / GOLDEN).read_bytes())
    del golden["ranker_scores"]
    (folder / GOLDEN).write_text(json.dumps(golden))
    for name in (RANKER, RANKER_WEIGHTS):
        (folder / name).unlink()

    def forget(manifest) -> None:
        entry = entry_of(folder / GOLDEN)
        manifest["files"][GOLDEN] = {"sha256": entry.sha256, "bytes": entry.bytes}
        for name in (RANKER, RANKER_WEIGHTS):
            del manifest["files"][name]
        del manifest["ranker_features"]

    rewrite(folder, forget)
    assert load_model(folder).rank(FEATURE_ROWS) is None
