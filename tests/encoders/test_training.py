from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from encoders.batching import TrainingSequences, sequences_of
from encoders.checkpoint import Checkpoint
from encoders.config import ModelConfig, TrainingConfig
from encoders.domains import Domain
from encoders.errors import DataError, ModelCorrupt, ModelError, SettingsError
from encoders.events import EventType
from encoders.torch_context import seeded
from encoders.towers import ItemTower, Towers, UserTower, new_towers
from encoders.training import Outcome, Trainer
from encoders.validation import Ranking, rank_targets
from encoders.whitening import fit_whitening
from tests.support.full_disk import fill_up, small_disk

ITEMS, TEXT_DIM = 40, 16
MODEL = ModelConfig(dim=8, hidden=16, item_hidden=16)
TRAINING = TrainingConfig(epochs=4, batch_size=32, max_length=8, learning_rate=1e-2, dropout=0.1, threads=1)


def texts() -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(ITEMS, TEXT_DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def walks(users: int, step: int = 1, seed: int = 1) -> TrainingSequences:
    """Users who go from item i to item i + step, whatever the texts say: only a trained model can know."""
    starts = np.random.default_rng(seed).integers(0, ITEMS, users)
    histories = [[int(start + step * i) % ITEMS for i in range(6)] for start in starts]
    return TrainingSequences(
        sequences_of(histories),
        sequences_of([history[:3] for history in histories]),
        np.array([history[3] for history in histories]),
    )


def noise(users: int) -> TrainingSequences:
    """Users who pick at random: there is nothing to learn."""
    histories = np.random.default_rng(2).integers(0, ITEMS, (users, 6)).tolist()
    later = np.random.default_rng(3).integers(0, ITEMS, (users, 4)).tolist()
    return TrainingSequences(
        sequences_of(histories), sequences_of([h[:3] for h in later]), np.array([h[3] for h in later])
    )


def two_tasks(after: int = 2) -> TrainingSequences:
    """After each item half of the users click the next one and half buy the one ``after`` steps on; asked is
    what is bought two steps on."""
    starts = np.random.default_rng(1).integers(0, ITEMS, 300)
    kinds = np.arange(300) % 2
    steps = np.where(kinds == EventType.PURCHASE, after, 1)
    whole = sequences_of([[int(s), int(s + step) % ITEMS] for s, step in zip(starts, steps, strict=True)])
    types = np.stack([np.zeros_like(kinds), kinds], axis=1).reshape(-1)
    held = sequences_of([[item] for item in range(ITEMS)], EventType.CLICK)
    return TrainingSequences(replace(whole, event_types=types), held, (np.arange(ITEMS) + 2) % ITEMS)


def towers() -> Towers:
    with seeded(0):
        return new_towers(ItemTower(MODEL, fit_whitening(texts())), UserTower(MODEL), TRAINING.dropout)


def train(
    folder: Path,
    data: TrainingSequences,
    resume: bool = False,
    parts: Towers | None = None,
    **changes: object,
) -> tuple[Towers, Outcome]:
    trained = parts or towers()
    config = msgspec.structs.replace(TRAINING, **changes)
    trainer = Trainer(trained, [Domain.of(trained.item, texts(), data)], config)
    return trained, trainer.run(Checkpoint(folder / "c"), quiet, resume=resume, parent="p")


def quiet(stage: str, done: int, total: int, note: str) -> None:
    pass


class Interrupted(Exception):
    pass


def interrupt_after_two_epochs(stage: str, done: int, total: int, note: str) -> None:
    if (stage, done) == ("epoch", 2):
        raise Interrupted


def equal(one: Towers, other: Towers) -> bool:
    return all(torch.equal(a, other.state_dict()[name]) for name, a in one.state_dict().items())


def test_training_learns_what_texts_do_not_say(tmp_path: Path) -> None:
    _, outcome = train(tmp_path, walks(400), epochs=12)
    assert outcome.improved
    assert outcome.ndcg_at_10 > outcome.untrained_ndcg_at_10 + 0.3


def test_the_weights_of_the_tasks_decide_which_next_item_comes_first(tmp_path: Path) -> None:
    clicks, purchases = (
        train(tmp_path / str(weight), two_tasks(), epochs=12, patience=12, purchase_loss_weight=weight)[
            1
        ].curve[-1]
        for weight in (0.05, 20.0)
    )
    assert purchases > clicks + 0.1


def test_what_is_bought_changes_nothing_where_the_next_purchase_has_no_weight(tmp_path: Path) -> None:
    def curve(after: int, weight: float) -> tuple[float, ...]:
        folder = tmp_path / f"{after}-{weight}"
        return train(folder, two_tasks(after), patience=4, purchase_loss_weight=weight)[1].curve

    assert curve(2, 0.0) == curve(9, 0.0)
    assert curve(2, 0.1) != curve(9, 0.1)


def test_a_batch_of_a_task_without_weight_moves_nothing(tmp_path: Path) -> None:
    """Batches of two rows: some have purchases alone."""
    _, outcome = train(tmp_path, two_tasks(), epochs=1, batch_size=2, purchase_loss_weight=0.0)
    assert np.isfinite(outcome.curve).all()


def test_data_of_a_task_without_weight_are_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="purchase_loss_weight"):
        train(tmp_path, walks(20), purchase_loss_weight=0.0)


def test_one_task_needs_a_weight() -> None:
    with pytest.raises(SettingsError, match="both 0"):
        TrainingConfig(click_loss_weight=0.0, purchase_loss_weight=0.0)


def test_where_there_is_nothing_to_learn_the_start_is_kept(tmp_path: Path) -> None:
    trained, outcome = train(tmp_path, noise(200))
    assert not outcome.improved
    assert equal(trained, towers())


def test_few_interactions_without_validation_leave_the_model_as_it_is(tmp_path: Path) -> None:
    trained, outcome = train(tmp_path, TrainingSequences(walks(50).train))
    assert not outcome.improved
    assert equal(trained, towers())


def test_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    assert equal(train(tmp_path, walks(100))[0], train(tmp_path, walks(100))[0])


def test_training_leaves_the_random_numbers_of_its_caller_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(tmp_path, walks(20), epochs=1)
    assert torch.equal(torch.rand(1), expected)


def test_resumed_training_ends_as_if_it_had_not_been_interrupted(tmp_path: Path) -> None:
    whole, expected = train(tmp_path / "whole", walks(100))
    parts = towers()
    half = Trainer(parts, [Domain.of(parts.item, texts(), walks(100))], TRAINING)
    with pytest.raises(Interrupted):
        half.run(Checkpoint(tmp_path / "half" / "c"), interrupt_after_two_epochs, resume=False, parent="p")
    resumed, outcome = train(tmp_path / "half", walks(100), resume=True)
    assert outcome == expected
    assert equal(resumed, whole)


def test_resuming_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="without --resume"):
        train(tmp_path, walks(20), resume=True)


def test_resuming_with_other_data_is_refused(tmp_path: Path) -> None:
    train(tmp_path, walks(20), epochs=1)
    with pytest.raises(SettingsError, match="other data or settings"):
        train(tmp_path, walks(21), epochs=1, resume=True)


def test_on_a_full_disk_training_ends_and_the_epoch_before_is_whole(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=2) as disk:

        def fill_after_an_epoch(stage: str, done: int, total: int, note: str) -> None:
            if (stage, done) == ("epoch", 1):
                fill_up(disk)

        checkpoint, data, start = Checkpoint(disk / "c"), walks(40), towers()
        trainer = Trainer(start, [Domain.of(start.item, texts(), data)], TRAINING)
        with pytest.raises(ModelError, match="No space left on device"):
            trainer.run(checkpoint, fill_after_an_epoch, resume=False, parent="p")
        (disk / "ballast").unlink()
        resumed = trainer.run(checkpoint, quiet, resume=True, parent="p")
        assert resumed.curve == train(tmp_path, data)[1].curve


def test_unreadable_checkpoint_is_named(tmp_path: Path) -> None:
    train(tmp_path, walks(20), epochs=1)
    (tmp_path / "c" / "tensors.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelCorrupt, match="unreadable"):
        train(tmp_path, walks(20), epochs=1, resume=True)


def test_training_stops_when_validation_no_longer_rises(tmp_path: Path) -> None:
    _, outcome = train(tmp_path, noise(50), epochs=30, patience=2)
    assert outcome.epochs == int(np.argmax(outcome.curve)) + 1 + 2


def test_sampled_softmax_learns_too(tmp_path: Path) -> None:
    _, outcome = train(tmp_path, walks(400), epochs=12, full_softmax_items=1, sampled_negatives=20)
    assert outcome.ndcg_at_10 > outcome.untrained_ndcg_at_10 + 0.3


def test_validation_is_sampled_where_it_is_large(tmp_path: Path) -> None:
    _, outcome = train(tmp_path, walks(100), epochs=1, max_validation=10)
    assert round(outcome.recall_at_10 * 10, 6).is_integer()


def test_ranking_is_full_and_counts_ties_against_the_target() -> None:
    parts = towers()
    with torch.no_grad():
        white = parts.item.whiten(torch.from_numpy(np.repeat(texts()[:1], ITEMS, axis=0)))
    ranks = rank_targets(parts, white, sequences_of([[0, 1]]), np.array([5]), 8)
    assert ranks.tolist() == [ITEMS - 1]


def test_ranks_equal_those_of_a_plain_sort() -> None:
    parts, data = towers(), walks(30)
    assert data.valid is not None
    with torch.no_grad():
        white = parts.item.whiten(torch.from_numpy(texts()))
        items = parts.item.refine(white).numpy()
    ranks = rank_targets(parts, white, data.valid, data.valid_targets, 8)
    decay = MODEL.decay ** np.arange(3)[::-1]
    for rank, start, target in zip(ranks, data.valid.offsets[:-1], data.valid_targets, strict=True):
        scores = items @ (decay @ items[data.valid.items[start : start + 3]])
        assert rank == np.argsort(-scores).tolist().index(target)


def test_ndcg_and_recall_at_ten_are_of_the_rank() -> None:
    ranking = Ranking.of(np.array([0, 2, 9, 10]))
    np.testing.assert_allclose(ranking.ndcg, [1 / np.log2(2), 1 / np.log2(4), 1 / np.log2(11), 0.0])
    assert ranking.hit.tolist() == [1, 1, 1, 0]
