"""What is carried from one shop to another, and that nothing comes out below the untrained profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.batching import TrainingSequences, sequences_of
from encoders.checkpoint import Checkpoint
from encoders.config import ModelConfig, TrainingConfig
from encoders.domains import Domain
from encoders.events import EventType
from encoders.towers import Towers
from encoders.transfer import (
    POLICIES,
    Policy,
    adapted,
    sized,
    source_domain,
    stages,
    start,
    tune,
    untrained_towers,
)
from encoders.validation import Validation, mean
from encoders.whitening import fit_whitening

ITEMS, TEXT_DIM = 50, 16
MODEL = ModelConfig(dim=8, hidden=16, item_hidden=16)
TRAINING = TrainingConfig(epochs=3, batch_size=64, max_length=8, learning_rate=1e-2)


def texts(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(ITEMS, TEXT_DIM)).astype(np.float32)


def noise(users: int, seed: int) -> TrainingSequences:
    """Nothing to learn: whoever learns something here does harm."""
    rng = np.random.default_rng(seed)
    return TrainingSequences(
        sequences_of(rng.integers(0, ITEMS, (users, 6)).tolist()),
        sequences_of(rng.integers(0, ITEMS, (users, 3)).tolist()),
        rng.integers(0, ITEMS, users),
    )


def alike(users: int, vectors: np.ndarray) -> TrainingSequences:
    """Each next item is among those whose text is nearest to the last: the untrained profile knows that."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    near = np.argsort(-(unit @ unit.T), axis=1)[:, 1:4]
    rng = np.random.default_rng(5)
    histories = []
    for item in rng.integers(0, ITEMS, users).tolist():
        history = [item]
        while len(history) < 6:
            history.append(int(rng.choice(near[history[-1]])))
        histories.append(history)
    return TrainingSequences(
        sequences_of(histories),
        sequences_of([h[:4] for h in histories]),
        np.array([h[4] for h in histories]),
    )


def spoiled_parent() -> Towers:
    """A parent whose decays and residual are wrong everywhere."""
    towers = untrained_towers(MODEL, fit_whitening(texts(9)))
    with torch.no_grad():
        towers.user.log_decay.fill_(-9.0)
        towers.user.scale.fill_(1.0)
        towers.user.residual.weight.normal_(0.0, 3.0)
    return towers


def validation(data: TrainingSequences, vectors: np.ndarray, towers: Towers) -> Validation:
    return Validation([Domain.of(towers.item, vectors, data)], 10_000, 8, 0)


def transferred(folder: Path, data: TrainingSequences, vectors: np.ndarray, policy: Policy) -> Towers:
    towers = start(spoiled_parent(), MODEL, vectors, 0.1, lambda t: validation(data, vectors, t))
    tune(
        towers,
        [Domain.of(towers.item, vectors, data)],
        policy,
        TRAINING,
        lambda name: Checkpoint(folder / name),
        parent="p",
        resume=False,
        progress=lambda *_: None,
    )
    return towers


def worth(towers: Towers, data: TrainingSequences, vectors: np.ndarray) -> float:
    return mean(validation(data, vectors, towers).rank(towers).ndcg)


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "plain-scratch"])
@pytest.mark.parametrize("seed", range(2))
def test_no_guarded_policy_ends_below_the_untrained_profile_on_validation(
    tmp_path: Path, policy: Policy, seed: int
) -> None:
    data, vectors = noise(60, seed), texts(seed)
    floor = worth(untrained_towers(MODEL, fit_whitening(vectors)), data, vectors)
    assert worth(transferred(tmp_path, data, vectors, policy), data, vectors) >= floor - 1e-12


def test_plain_scratch_is_believed_where_it_is_worse(tmp_path: Path) -> None:
    data, vectors = noise(60, 0), texts(0)
    plain = untrained_towers(MODEL, fit_whitening(vectors))
    towers = transferred(tmp_path, data, vectors, "plain-scratch")
    assert not torch.equal(towers.item(torch.from_numpy(vectors)), plain.item(torch.from_numpy(vectors)))


def test_replayed_behaviour_of_a_source_is_read_through_its_own_whitening_and_never_validated() -> None:
    towers = untrained_towers(MODEL, fit_whitening(texts(0)))
    domain = source_domain(towers, MODEL, texts(1), noise(30, 1), 0.2)
    assert domain.data.valid is None
    covariance = np.cov(domain.white.numpy()[:, : MODEL.dim].T)
    np.testing.assert_allclose(covariance, np.eye(MODEL.dim) * covariance[0, 0], atol=0.15 * covariance[0, 0])


def test_where_there_is_nothing_to_learn_fresh_users_are_served_as_untrained(tmp_path: Path) -> None:
    vectors = texts(1)
    towers, plain = (
        transferred(tmp_path, alike(60, vectors), vectors, "adaptor-then-all"),
        untrained_towers(MODEL, fit_whitening(vectors)),
    )
    unseen = alike(400, vectors)
    assert worth(towers, unseen, vectors) >= 0.97 * worth(plain, unseen, vectors)


def test_a_spoiled_parent_does_not_spoil_the_start() -> None:
    vectors = texts(2)
    data = alike(300, vectors)
    towers = start(spoiled_parent(), MODEL, vectors, 0.0, lambda t: validation(data, vectors, t))
    floor = worth(untrained_towers(MODEL, fit_whitening(vectors)), data, vectors)
    assert worth(towers, data, vectors) >= floor - 1e-12


def test_without_behaviour_the_decays_are_the_parents_and_the_residual_is_off() -> None:
    parent, nothing = spoiled_parent(), TrainingSequences(sequences_of([]))
    towers = start(parent, MODEL, texts(3), 0.0, lambda t: validation(nothing, texts(3), t))
    torch.testing.assert_close(towers.user.log_decay, parent.user.log_decay)
    assert float(towers.user.scale) == 0.0


def test_item_vectors_of_a_new_shop_are_as_similar_as_untrained_ones() -> None:
    vectors = torch.from_numpy(texts(4))
    carried = adapted(spoiled_parent(), MODEL, texts(4), 0.0, user_residual=True).eval()
    plain = untrained_towers(MODEL, fit_whitening(texts(4))).eval()
    with torch.no_grad():
        one, other = carried.item(vectors), plain.item(vectors)
    torch.testing.assert_close(one @ one.T, other @ other.T, atol=1e-3, rtol=0)


def test_policies_tune_what_they_say() -> None:
    parts = {policy: [stage.tuning.parts for stage in stages(policy, TRAINING)] for policy in POLICIES}
    assert parts["zero-shot"] == []
    assert parts["adaptor"] == [("adaptor", "decay")]
    assert len(parts["adaptor-then-all"]) == 2
    first, second = (stage.tuning for stage in stages("adaptor-then-all", TRAINING))
    assert second.rate < first.rate
    assert second.anchored
    assert second.distillation > 0


def test_few_sequences_get_small_batches() -> None:
    assert sized(TRAINING, 10).batch_size < TRAINING.batch_size
    assert sized(TRAINING, 1_000_000).batch_size == TRAINING.batch_size


def test_tasks_are_validated_apart() -> None:
    vectors, data = texts(6), noise(40, 6)
    types = np.array([EventType.CLICK, EventType.PURCHASE] * 20)
    both = TrainingSequences(data.train, data.valid, data.valid_targets, valid_types=types)
    towers = untrained_towers(MODEL, fit_whitening(vectors))
    held = validation(both, vectors, towers)
    ranking = held.rank(towers)
    found = held.by_task(ranking)
    assert found["next_click_ndcg_at_10"] == pytest.approx(ranking.ndcg[::2].mean())
    assert found["next_purchase_recall_at_10"] == pytest.approx(ranking.hit[1::2].mean())


class Interrupted(Exception):
    pass


def test_interrupted_stages_go_on_and_end_the_same(tmp_path: Path) -> None:
    vectors = texts(7)
    data = alike(100, vectors)

    def run(folder: str, *, resume: bool = False, stop_after: int = 99) -> Towers:
        epochs = []

        def progress(stage: str, done: int, total: int, note: str) -> None:
            if stage == "epoch":
                epochs.append(done)
            if len(epochs) == stop_after:
                raise Interrupted

        towers = untrained_towers(MODEL, fit_whitening(vectors))
        tune(
            towers,
            [Domain.of(towers.item, vectors, data)],
            "adaptor-then-all",
            TRAINING,
            lambda name: Checkpoint(tmp_path / folder / name),
            parent="p",
            resume=resume,
            progress=progress,
        )
        return towers

    whole = run("whole").state_dict()
    with pytest.raises(Interrupted):
        run("half", stop_after=5)  # in the second stage: the first has three epochs
    resumed = run("half", resume=True).state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
