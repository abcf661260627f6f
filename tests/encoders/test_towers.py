from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from encoders.config import DAY_SECONDS, ModelConfig
from encoders.errors import ModelError
from encoders.towers import ItemTower, UserTower
from encoders.whitening import fit_whitening

CONFIG = ModelConfig(dim=6, hidden=5, item_hidden=7, half_life_seconds=DAY_SECONDS)


def text_vectors(count: int = 40, dim: int = 12) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(0.3, 1.0, (count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def unit(*shape: int, seed: int = 1) -> torch.Tensor:
    vectors = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(vectors, dim=-1)


def trained_user_tower() -> UserTower:
    """A tower whose every part has a say."""
    torch.manual_seed(0)
    tower = UserTower(CONFIG).eval()
    tower.scale.fill_(1.0)
    torch.nn.init.normal_(tower.residual.weight)
    return tower


def mean_after(
    tower: UserTower, mean: np.ndarray, item: np.ndarray, event_type: int, gap: float
) -> np.ndarray:
    state = torch.cat([torch.from_numpy(mean), torch.zeros(CONFIG.hidden)]).unsqueeze(0).float()
    with torch.no_grad():
        new_state, _ = tower(
            state,
            torch.from_numpy(item).unsqueeze(0).float(),
            torch.tensor([event_type]),
            torch.tensor([gap]),
        )
    return new_state[0, : CONFIG.dim].numpy()


@pytest.mark.parametrize("gap", [0.0, 3600.0, 2 * DAY_SECONDS, -3600.0, -2 * DAY_SECONDS])
@pytest.mark.parametrize(("event_type", "weight"), [(0, CONFIG.click_weight), (1, CONFIG.purchase_weight)])
def test_mean_follows_the_formula_for_events_in_and_out_of_order(
    gap: float, event_type: int, weight: float
) -> None:
    mean, item = np.arange(6.0), np.linspace(-1, 1, 6)
    keep = CONFIG.decay * 2 ** (-max(gap, 0) / DAY_SECONDS)
    add = weight * 2 ** (-max(-gap, 0) / DAY_SECONDS)
    actual = mean_after(UserTower(CONFIG), mean, item, event_type, gap)
    np.testing.assert_allclose(actual, keep * mean + add * item, rtol=1e-4, atol=1e-6)


def test_late_event_counts_as_much_as_if_it_had_come_in_order() -> None:
    tower, first, second = UserTower(CONFIG), np.ones(6), np.linspace(-1, 1, 6)
    late = mean_after(tower, second, first, 0, -DAY_SECONDS)
    # γ differs by the order of arrival; the share that time takes is the same.
    np.testing.assert_allclose(late, CONFIG.decay * second + 0.5 * first, rtol=1e-4)


def test_new_tower_answers_with_the_normalised_decayed_mean() -> None:
    items = unit(1, 4, 6)
    with torch.no_grad():
        every = (
            UserTower(CONFIG).eval().sequence(items, torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 4))
        )
    weights = CONFIG.decay ** np.arange(4)[::-1]
    expected = weights @ items[0].numpy()
    np.testing.assert_allclose(every[0, -1].numpy(), expected / np.linalg.norm(expected), atol=1e-5)


def test_sequence_gives_what_repeated_steps_give() -> None:
    tower, items = trained_user_tower(), unit(3, 5, 6)
    types = torch.tensor([[0, 1, 0, 0, 1]] * 3)
    gaps = torch.tensor([[0.0, 60.0, -30.0, 9e5, 5.0]] * 3)
    state = torch.zeros(3, CONFIG.state_dim)
    with torch.no_grad():
        every = tower.sequence(items, types, gaps)
        for t in range(5):
            state, interest = tower(state, items[:, t], types[:, t], gaps[:, t])
            torch.testing.assert_close(interest, every[:, t], atol=1e-5, rtol=1e-4)


def test_years_between_events_stay_finite() -> None:
    gaps = torch.tensor([[0.0, 10 * 365 * DAY_SECONDS, -10 * 365 * DAY_SECONDS]])
    with torch.no_grad():
        every = trained_user_tower().sequence(unit(1, 3, 6), torch.zeros(1, 3, dtype=torch.long), gaps)
    torch.testing.assert_close(every.norm(dim=-1), torch.ones(1, 3))


def test_new_item_tower_is_normalised_whitening() -> None:
    vectors = text_vectors()
    whitening = fit_whitening(vectors)
    expected = whitening.apply(vectors)[:, : CONFIG.dim]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    with torch.no_grad():
        actual = ItemTower(CONFIG, whitening)(torch.from_numpy(vectors))
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-5)


def test_more_dimensions_than_the_text_has_are_refused() -> None:
    with pytest.raises(ModelError, match="at most 12"):
        ItemTower(ModelConfig(dim=13), fit_whitening(text_vectors()))


def test_decay_never_grows_older_evidence() -> None:
    tower = UserTower(CONFIG)
    with torch.no_grad():
        tower.log_decay.fill_(math.log(3.0))
    np.testing.assert_allclose(mean_after(tower, np.ones(6), np.zeros(6), 0, 0.0), np.ones(6), rtol=1e-6)
