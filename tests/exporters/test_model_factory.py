from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.batching import TrainingSequences, sequences_of
from encoders.config import ModelConfig, TrainingConfig
from encoders.errors import ModelError, SettingsError
from encoders.events import Item
from exporters import model_factory, model_store, tower_files
from exporters.model_factory import make_untrained, pretrain
from exporters.model_manifest import read_manifest
from exporters.model_store import load_model, resolve_model
from exporters.tower_files import load_towers

CONFIG = ModelConfig(dim=16, hidden=16, item_hidden=16)
ITEMS = [Item(str(i), f"item {i}") for i in range(40)]
TRAINING = TrainingConfig(epochs=3, batch_size=64, learning_rate=1e-2)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=(len(ITEMS), 384))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def walks(users: int = 200) -> TrainingSequences:
    starts = np.random.default_rng(1).integers(0, len(ITEMS), users)
    histories = [[int(start + i) % len(ITEMS) for i in range(6)] for start in starts]
    return TrainingSequences(
        sequences_of(histories),
        sequences_of([history[:3] for history in histories]),
        np.array([history[3] for history in histories]),
        dataset="walks",
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, untrained_model: Path, vectors: np.ndarray) -> Path:
    """A version folder that ``pretrain`` wrote, beside its parent."""
    out = tmp_path_factory.mktemp("trained")
    parent = make_untrained(ITEMS, out, CONFIG, text_from=untrained_model, text_vectors=vectors)
    return pretrain(walks(), ITEMS, out, CONFIG, TRAINING, parent=parent, text_vectors=vectors)


def test_one_item_is_a_catalogue(tmp_path: Path, untrained_model: Path) -> None:
    model = load_model(make_untrained(ITEMS[:1], tmp_path, CONFIG, text_from=untrained_model))
    vectors = model.item_vectors(model.encode_texts(["item 0", "another one"]))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_the_same_catalogue_gives_the_same_version_again(
    tmp_path: Path, untrained_model: Path, vectors: np.ndarray
) -> None:
    first = make_untrained(ITEMS, tmp_path / "a", CONFIG, text_from=untrained_model, text_vectors=vectors)
    second = make_untrained(ITEMS, tmp_path / "b", CONFIG, text_from=untrained_model, text_vectors=vectors)
    assert first.name.partition("-")[2] == second.name.partition("-")[2]


def test_other_vectors_give_another_version(
    tmp_path: Path, untrained_model: Path, vectors: np.ndarray
) -> None:
    first = make_untrained(ITEMS, tmp_path, CONFIG, text_from=untrained_model, text_vectors=vectors)
    second = make_untrained(ITEMS, tmp_path, CONFIG, text_from=untrained_model, text_vectors=-vectors)
    assert first != second
    assert resolve_model(tmp_path) == second


def test_empty_catalogue_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no items"):
        make_untrained([], tmp_path, CONFIG)
    assert not list(tmp_path.iterdir())


def test_text_model_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^cannot load the text model [^\n]*$"):
        make_untrained(ITEMS, tmp_path, CONFIG, text_model=str(tmp_path / "nothing"))


def test_two_text_towers_are_one_too_many(tmp_path: Path, untrained_model: Path) -> None:
    with pytest.raises(SettingsError, match="not both"):
        make_untrained(ITEMS, tmp_path, CONFIG, text_model="x", text_from=untrained_model)


def test_vectors_of_another_catalogue_are_refused(
    tmp_path: Path, untrained_model: Path, vectors: np.ndarray
) -> None:
    with pytest.raises(ModelError, match="39 text vectors for 40 items"):
        make_untrained(ITEMS, tmp_path, CONFIG, text_from=untrained_model, text_vectors=vectors[:-1])


def test_failed_making_leaves_nothing_behind(
    tmp_path: Path, untrained_model: Path, vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ModelError("the export differs")

    monkeypatch.setattr(tower_files, "export_user", fail)
    with pytest.raises(ModelError, match="differs"):
        make_untrained(ITEMS, tmp_path, CONFIG, text_from=untrained_model, text_vectors=vectors)
    assert not list(tmp_path.iterdir())


def test_damaged_version_of_the_same_name_is_replaced(
    tmp_path: Path, untrained_model: Path, vectors: np.ndarray
) -> None:
    folder = make_untrained(ITEMS, tmp_path, CONFIG, text_from=untrained_model, text_vectors=vectors)
    (folder / "item.onnx").write_bytes(b"damaged")
    again = make_untrained(ITEMS, tmp_path, CONFIG, text_from=untrained_model, text_vectors=vectors)
    assert load_model(again).version == folder.name


def test_pretrained_model_names_its_parent_data_and_parts(trained: Path) -> None:
    manifest = read_manifest(trained)
    parents = [p.name for p in trained.parent.iterdir() if p.is_dir() and p != trained]
    assert parents == [manifest.parent]
    assert (manifest.data.dataset, manifest.data.interactions) == ("walks", 200 * 6)
    assert manifest.trained == ("adaptor", "item_residual", "user_residual", "decay")


def test_pretrained_model_is_better_on_validation_and_says_so(trained: Path) -> None:
    metrics = read_manifest(trained).metrics
    assert metrics["validation_ndcg_at_10"] > metrics["parent_validation_ndcg_at_10"]


def test_pretrained_graphs_rank_as_well_as_the_manifest_says(trained: Path, vectors: np.ndarray) -> None:
    model, data = load_model(trained), walks()
    items = model.item_vectors(vectors)
    assert data.valid is not None
    histories = data.valid.items.reshape(-1, 3)
    ones = np.ones(histories.shape, np.int64)
    _, interests = model.prefill(
        items[histories], ones, np.zeros(histories.shape, np.float32), 3 * ones[:, 0]
    )
    scores = interests @ items.T
    ranks = (scores > scores[np.arange(len(scores)), data.valid_targets][:, None]).sum(axis=1)
    ndcg = np.where(ranks < 10, 1 / np.log2(ranks + 2), 0).mean()
    assert ndcg == pytest.approx(read_manifest(trained).metrics["validation_ndcg_at_10"], abs=1e-3)


def test_pretrained_prefill_equals_its_steps(trained: Path, vectors: np.ndarray) -> None:
    model = load_model(trained)
    items = model.item_vectors(vectors[:4])
    types, gaps = np.array([0, 1, 1, 0]), np.array([0, 50, -70, 1e6], np.float32)
    state = model.initial_state(1)
    for t in range(4):
        state, interest = model.step(state, items[t][None], types[t][None], gaps[t][None])
    prefilled, filled = model.prefill(items[None], types[None], gaps[None], np.array([4]))
    np.testing.assert_allclose(prefilled, state, atol=1e-5)
    np.testing.assert_allclose(filled, interest, atol=1e-5)


def test_weights_come_back_as_they_were_written(trained: Path, vectors: np.ndarray) -> None:
    import torch

    _, towers = load_towers(trained)
    with torch.no_grad():
        again = towers.eval().item(torch.from_numpy(vectors)).numpy()
    np.testing.assert_allclose(again, load_model(trained).item_vectors(vectors), atol=1e-5)


def test_pretraining_that_does_not_help_returns_the_parent(
    tmp_path: Path, untrained_model: Path, vectors: np.ndarray
) -> None:
    parent = make_untrained(ITEMS, tmp_path, CONFIG, text_from=untrained_model, text_vectors=vectors)
    only_training = TrainingSequences(walks(20).train)
    assert (
        pretrain(only_training, ITEMS, tmp_path, CONFIG, TRAINING, parent=parent, text_vectors=vectors)
        == parent
    )
    assert model_store.resolve_model(tmp_path) == parent


def test_finished_pretraining_leaves_no_checkpoint(trained: Path) -> None:
    assert not (trained.parent / model_factory.CHECKPOINT).exists()
