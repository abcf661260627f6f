"""Whole models made by transfer: what their manifests say, and what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from encoders.batching import TrainingSequences, sequences_of
from encoders.config import ModelConfig, TrainingConfig
from encoders.covisitation import CovisitationConfig
from encoders.errors import ModelError
from encoders.events import Item
from encoders.factors import item_factors
from encoders.ranker import Ranker, RankingRows
from encoders.ranking_rows import ranking_rows
from encoders.runtime import ServingModel
from encoders.transfer import SMALLEST_BATCH
from encoders.whitening import fit_whitening
from exporters import transfer_factory
from exporters.catalogue_sample import SAMPLE
from exporters.model_factory import make_untrained
from exporters.model_manifest import (
    DISTILLED_METRIC,
    INT8_METRIC,
    MANIFEST,
    RANKER_WEIGHTS,
    DataWindow,
    read_manifest,
)
from exporters.model_store import load_model
from exporters.ranker_files import with_ranker
from exporters.tower_files import load_towers
from exporters.transfer_factory import CHECKPOINT, SourceBehaviour, transfer
from exporters.transfer_report import REPORT, TransferReport

CONFIG = ModelConfig(dim=16, hidden=16, item_hidden=16)
ITEMS = [Item(str(i), f"item {i}") for i in range(40)]
IDS = [item.item_id for item in ITEMS]
OF_THE_WINDOW = item_factors(IDS, np.random.default_rng(2).normal(size=(len(IDS), 4)).astype(np.float32))
TRAINING = TrainingConfig(epochs=3, batch_size=64, learning_rate=3e-2)


def vectors(seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(len(ITEMS), 384))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def walks(users: int, items: int = len(ITEMS)) -> TrainingSequences:
    """From each item to the next, which no text says."""
    starts = np.random.default_rng(1).integers(0, items, users)
    histories = [[int(start + i) % items for i in range(6)] for start in starts]
    return TrainingSequences(
        sequences_of(histories),
        sequences_of([history[:3] for history in histories]),
        np.array([history[3] for history in histories]),
        dataset="walks",
    )


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory, untrained_model: Path) -> Path:
    out = tmp_path_factory.mktemp("parent")
    folder = make_untrained(ITEMS, out, CONFIG, text_from=untrained_model, text_vectors=vectors(0))
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["metrics"] |= {INT8_METRIC: 0.9, DISTILLED_METRIC: 0.8}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, parent: Path) -> Path:
    """Everything tuned on behaviour that can be learned; the whole is left to a gate."""
    out = tmp_path_factory.mktemp("tuned")
    return transfer(
        parent,
        walks(600),
        ITEMS,
        out,
        "adaptor-then-all",
        TRAINING,
        text_vectors=vectors(1),
        replay=walks(50),
        ranking=anonymous,
    )


def anonymous(model: ServingModel) -> RankingRows:
    """Rows that do not say which questions they are of: towers cannot be compared by them."""
    found = ranking_rows(model, model.item_vectors(vectors(1)), walks(600), CovisitationConfig())
    return replace(found, questions=None, factors=OF_THE_WINDOW)


def test_the_factors_that_rows_were_made_with_go_into_the_model(tuned: Path) -> None:
    served = load_model(tuned).factors
    assert served is not None
    np.testing.assert_array_equal(served.rows(IDS), OF_THE_WINDOW.rows(IDS))


def test_another_shop_does_not_get_the_factors_of_its_parents_items(tmp_path: Path, parent: Path) -> None:
    reading = with_ranker(
        parent, Ranker(), tmp_path / "parent", factors=OF_THE_WINDOW, data=DataWindow(), metrics={}
    )
    nothing = TrainingSequences(sequences_of([]))
    out = tmp_path / "out"
    folder = transfer(reading, nothing, ITEMS, out, "zero-shot", TRAINING, text_vectors=vectors(1))
    assert load_model(folder).factors is None


def test_zero_shot_is_the_untrained_profile_of_the_new_shop_with_the_parents_ranker(
    tmp_path: Path, parent: Path
) -> None:
    nothing = TrainingSequences(sequences_of([]))
    folder = transfer(parent, nothing, ITEMS, tmp_path, "zero-shot", TRAINING, text_vectors=vectors(1))
    found = load_towers(folder)[1].item(torch.from_numpy(vectors(1))).detach().numpy()
    white = fit_whitening(vectors(1)).apply(vectors(1))[:, : CONFIG.dim]
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    np.testing.assert_allclose(found @ found.T, white @ white.T, atol=2e-3)
    assert (folder / RANKER_WEIGHTS).read_bytes() == (parent / RANKER_WEIGHTS).read_bytes()


def test_the_manifest_names_tuned_and_frozen_parts_and_the_parent(tuned: Path, parent: Path) -> None:
    manifest = read_manifest(tuned)
    assert manifest.parent == read_manifest(parent).version
    assert {"adaptor", "item_residual", "user_residual"} <= set(manifest.trained)
    assert "text" in manifest.frozen
    assert not set(manifest.trained) & set(manifest.frozen)


def test_shares_that_the_gate_asks_for_hold_on_for_the_parts_that_stay(tuned: Path) -> None:
    metrics = read_manifest(tuned).metrics  # the text tower is the parent's, the others are not
    assert metrics[INT8_METRIC] == 0.9
    assert DISTILLED_METRIC not in metrics


def test_the_report_holds_every_stage(tuned: Path) -> None:
    report = msgspec.json.decode((tuned / REPORT).read_bytes(), type=TransferReport)
    assert (report.policy, len(report.stages)) == ("adaptor-then-all", 2)
    assert report.stages[1].improved


def test_what_is_kept_is_better_than_the_untrained_profile_on_validation(tuned: Path) -> None:
    metrics = read_manifest(tuned).metrics
    assert metrics["validation_ndcg_at_10"] > metrics["untrained_validation_ndcg_at_10"]
    assert TRAINING.task_weights.items() <= metrics.items()


@pytest.mark.parametrize(("without_them", "kept"), [(1.0, False), (0.0, True)])
def test_tuned_towers_stay_unless_the_whole_is_worse_with_them(
    tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch, without_them: float, kept: bool
) -> None:
    compared = [np.full(9, 0.5), np.full(9, without_them)]
    monkeypatch.setattr(transfer_factory, "ndcg_of_systems", lambda systems: compared)
    folder = transfer(
        parent, walks(600), ITEMS, tmp_path, "adaptor-then-all", TRAINING, text_vectors=vectors(1)
    )
    assert ("item_residual" in read_manifest(folder).trained) is kept


def test_alignment_is_reported_before_and_after(tuned: Path) -> None:
    metrics = read_manifest(tuned).metrics
    assert {"centroid_distance_before", "centroid_distance_after", "mmd_before", "mmd_after"} <= set(metrics)


def test_a_model_carries_a_sample_of_its_catalogue(tuned: Path) -> None:
    np.testing.assert_allclose(load_file(tuned / SAMPLE)["text_vectors"], vectors(1), atol=1e-3)


def test_finished_transfer_leaves_no_checkpoint(tuned: Path) -> None:
    assert not (tuned.parent / CHECKPOINT).exists()


def test_the_same_shop_without_progress_keeps_its_model(tmp_path: Path, parent: Path) -> None:
    few = TrainingSequences(walks(8).train)
    kept = transfer(
        parent, few, ITEMS, tmp_path, "adaptor-then-all", TRAINING, domain="same", text_vectors=vectors(0)
    )
    assert kept == parent


def test_a_replayed_source_has_its_share_of_the_steps(tmp_path: Path, parent: Path) -> None:
    source = SourceBehaviour([Item(str(i), f"book {i}") for i in range(30)], walks(50, 30))
    own = TrainingSequences(walks(192).train)
    folder = transfer(
        parent, own, ITEMS, tmp_path, "adaptor", TRAINING, text_vectors=vectors(1), source=source
    )
    report = msgspec.json.decode((folder / REPORT).read_bytes(), type=TransferReport)
    steps = 192 // SMALLEST_BATCH
    share = TRAINING.replay_share / (1.0 - TRAINING.replay_share)
    assert [stage.steps_per_epoch for stage in report.stages] == [steps + round(steps * share)]


def test_vectors_of_another_catalogue_are_refused(tmp_path: Path, parent: Path) -> None:
    with pytest.raises(ModelError, match="encode the same catalogue"):
        transfer(parent, walks(5), ITEMS[:3], tmp_path, "adaptor", TRAINING, text_vectors=vectors(1))
