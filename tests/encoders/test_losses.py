from __future__ import annotations

import numpy as np
import pytest
import torch

from encoders.losses import sampled_softmax_loss, softmax_loss

TEMPERATURE = 0.5


def unit(*shape: int, seed: int) -> torch.Tensor:
    vectors = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(vectors, dim=-1)


def test_softmax_loss_is_the_weighted_mean_of_log_shares() -> None:
    interests, items, targets = unit(2, 4, seed=0), unit(5, 4, seed=1), torch.tensor([3, 0])
    weights = torch.tensor([1.0, 3.0])
    logits = interests.numpy() @ items.numpy().T / TEMPERATURE
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[[0, 1], [3, 0]]
    expected = (1.0 * losses[0] + 3.0 * losses[1]) / (1.0 + 3.0)
    assert softmax_loss(interests, items, targets, weights, TEMPERATURE).item() == pytest.approx(expected)


def test_sampled_loss_over_every_item_once_is_the_full_loss() -> None:
    interests, items, targets = unit(3, 4, seed=0), unit(5, 4, seed=1), torch.tensor([3, 0, 2])
    hits = targets.unsqueeze(1) == torch.arange(5)
    sampled = sampled_softmax_loss(
        interests, items[targets], items, hits, torch.zeros(5), torch.ones(3), TEMPERATURE
    )
    torch.testing.assert_close(sampled, softmax_loss(interests, items, targets, torch.ones(3), TEMPERATURE))


def test_sampled_loss_estimates_the_full_loss_whatever_is_drawn_more_often() -> None:
    interests, items, targets = unit(1, 8, seed=0), unit(200, 8, seed=1), torch.tensor([7])
    chances = torch.linspace(1.0, 5.0, 200)
    chances = chances / chances.sum()
    draws = 20_000
    drawn = torch.multinomial(chances, draws, replacement=True, generator=torch.Generator().manual_seed(0))
    sampled = sampled_softmax_loss(
        interests,
        items[targets],
        items[drawn],
        targets.unsqueeze(1) == drawn,
        (chances[drawn] * draws).log(),
        torch.ones(1),
        TEMPERATURE,
    )
    full = softmax_loss(interests, items, targets, torch.ones(1), TEMPERATURE)
    torch.testing.assert_close(sampled, full, atol=0.02, rtol=0)
