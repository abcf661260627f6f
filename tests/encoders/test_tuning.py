from __future__ import annotations

import copy
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from encoders.batching import TrainingSequences, sequences_of
from encoders.checkpoint import Checkpoint
from encoders.config import ModelConfig, TrainingConfig
from encoders.distillation import Panel
from encoders.domains import Domain
from encoders.torch_context import seeded
from encoders.towers import ItemTower, Towers, UserTower, new_towers
from encoders.training import Trainer
from encoders.tuning import PARTS, Anchor, Tuning, changed_parts
from encoders.whitening import fit_whitening

ITEMS, TEXT_DIM = 40, 16
MODEL = ModelConfig(dim=8, hidden=16, item_hidden=16)
TRAINING = TrainingConfig(epochs=3, batch_size=32, max_length=8, learning_rate=1e-2, dropout=0.0)


def texts() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(ITEMS, TEXT_DIM)).astype(np.float32)


def towers() -> Towers:
    with seeded(0):
        return new_towers(ItemTower(MODEL, fit_whitening(texts())), UserTower(MODEL), 0.0)


def walks(users: int, step: int = 1) -> TrainingSequences:
    starts = np.random.default_rng(1).integers(0, ITEMS, users)
    histories = [[int(start + step * i) % ITEMS for i in range(6)] for start in starts]
    return TrainingSequences(
        sequences_of(histories),
        sequences_of([history[:3] for history in histories]),
        np.array([history[3] for history in histories]),
    )


def trained(folder: Path, tuning: Tuning, *, parts: Towers | None = None, **changes: object) -> Towers:
    result = parts or towers()
    domain = Domain.of(result.item, texts(), walks(200))
    trainer = Trainer(result, [domain], msgspec.structs.replace(TRAINING, **changes), tuning)
    trainer.run(Checkpoint(folder / "c"), lambda *_: None, resume=False, parent="p")
    return result


def moved(now: Towers, before: Towers) -> float:
    other = dict(before.named_parameters())
    return sum(float((p - other[name]).detach().square().sum()) for name, p in now.named_parameters())


@pytest.mark.parametrize("part", PARTS)
def test_what_is_frozen_does_not_move(tmp_path: Path, part: str) -> None:
    # Both residuals end in zeros: only one of them can change what the towers compute at once, both may move.
    changed = changed_parts(trained(tmp_path, Tuning((part,))), towers())
    assert set(changed) <= {part}


def test_an_anchor_pulls_towards_where_it_was_made() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3))
    anchor = Anchor({"p": parameter}, strength=0.5)
    with torch.no_grad():
        parameter.fill_(1.0)
    anchor.pull(rate=0.2)
    torch.testing.assert_close(parameter.data, torch.full((3,), 1.0 - 0.2 * 0.5))


def test_an_anchored_training_stays_nearer_to_its_start(tmp_path: Path) -> None:
    loose = trained(tmp_path / "a", Tuning(anchored=True), weight_decay=0.0)
    held = trained(tmp_path / "b", Tuning(anchored=True), weight_decay=20.0)
    assert moved(held, towers()) < moved(loose, towers())


def test_a_teacher_is_at_no_distance_from_itself() -> None:
    parts = towers()
    white = Domain.of(parts.item, texts(), walks(2)).white
    assert Panel(parts, white, 0).distance(parts).item() == pytest.approx(0.0, abs=1e-10)


def test_distillation_keeps_the_similarities_of_the_panel(tmp_path: Path) -> None:
    start = towers()
    white = Domain.of(start.item, texts(), walks(2)).white
    panel = Panel(start, white, TRAINING.seed)
    free = trained(tmp_path / "a", Tuning(distillation=0.0)).eval()
    held = trained(tmp_path / "b", Tuning(distillation=300.0)).eval()
    assert float(panel.distance(held)) < float(panel.distance(free))


def test_changed_parts_are_those_that_differ() -> None:
    before, now = towers(), copy.deepcopy(towers())
    with torch.no_grad():
        now.user.log_decay.add_(1.0)
        now.item.log_gain.add_(1.0)
    assert changed_parts(now, before) == ("adaptor", "decay")


def test_a_calibrated_stage_ends_nowhere_worse_than_it_began(tmp_path: Path) -> None:
    parts = towers()
    domain = Domain.of(parts.item, texts(), walks(300))
    trainer = Trainer(parts, [domain], TRAINING, Tuning(calibrated=True, cautious=True))
    outcome = trainer.run(Checkpoint(tmp_path / "c"), lambda *_: None, resume=False, parent="p")
    assert outcome.ndcg_at_10 >= outcome.untrained_ndcg_at_10
