"""Fewer dimensions: what cutting keeps exactly, and what learning adds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from encoders.config import ModelConfig, TrainingConfig
from encoders.errors import ModelError
from encoders.smaller_towers import SmallerTowers, cut, made_up_histories
from encoders.towers import Towers
from encoders.transfer import untrained_towers
from encoders.whitening import Whitening, fit_whitening

TEXT_DIM, DIM, ITEMS = 24, 12, 400
CONFIG = ModelConfig(dim=DIM, hidden=8, item_hidden=16)
TRAINING = TrainingConfig(learning_rate=1e-2)


def texts(seed: int = 0) -> np.ndarray:
    widths = np.linspace(3.0, 0.5, TEXT_DIM)
    return (np.random.default_rng(seed).normal(size=(ITEMS, TEXT_DIM)) * widths).astype(np.float32)


def parent(whitening: Whitening, *, trained: bool = False) -> Towers:
    towers = untrained_towers(CONFIG, whitening)
    if trained:
        with torch.no_grad():
            for layer in (towers.item.outer, towers.user.residual):
                layer.weight.normal_(0.0, 0.2, generator=torch.Generator().manual_seed(1))
            towers.item.scale.fill_(1.0)
            towers.user.scale.fill_(1.0)
    return towers


def items_of(towers: Towers) -> np.ndarray:
    with torch.no_grad():
        return towers.item(torch.from_numpy(texts())).numpy()


def pair_of(dim: int) -> SmallerTowers:
    towers = parent(fit_whitening(texts()), trained=True)
    child = cut(towers, CONFIG, dim)[1]
    return SmallerTowers(towers, child, texts(), made_up_histories(items_of(towers), 300, 0), 0)


@given(dim=st.integers(2, DIM - 1))
def test_an_untrained_model_is_cut_to_one_made_with_fewer_dimensions(dim: int) -> None:
    found = items_of(cut(parent(fit_whitening(texts())), CONFIG, dim)[1])
    white = fit_whitening(texts()).apply(texts())[:, :dim]
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    np.testing.assert_allclose(found @ found.T, white @ white.T, atol=1e-3)


def test_axes_that_were_turned_are_turned_back_before_they_are_cut() -> None:
    plain = fit_whitening(texts())
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(DIM, DIM)))
    turned = plain.projection.copy()
    turned[:, :DIM] = turned[:, :DIM] @ rotation
    one = items_of(cut(parent(plain), CONFIG, 5)[1])
    other = items_of(cut(parent(Whitening(plain.mean, turned)), CONFIG, 5)[1])
    np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-3)


@pytest.mark.parametrize("dim", [1, DIM, DIM + 1])
def test_only_fewer_dimensions_are_a_smaller_model(dim: int) -> None:
    with pytest.raises(ModelError, match="choose fewer"):
        cut(parent(fit_whitening(texts())), CONFIG, dim)


def test_learning_keeps_more_of_items_that_it_did_not_see_than_cutting() -> None:
    pair = pair_of(8)
    before = pair.kept()
    pair.learn(60, TRAINING, lambda *_: None)
    after = pair.kept()
    assert after.items > before.items
    assert after.interests > before.interests


def test_the_same_seed_gives_the_same_ranking() -> None:
    first, second = pair_of(8), pair_of(8)
    for pair in (first, second):
        pair.learn(5, TRAINING, lambda *_: None)
    assert first.kept() == second.kept()


def test_made_up_histories_hold_items_near_to_each_other() -> None:
    vectors = items_of(parent(fit_whitening(texts())))
    made = made_up_histories(vectors, 200, 0)
    near = [
        float(vectors[a] @ vectors[b])
        for begin, end in zip(made.offsets[:-1], made.offsets[1:], strict=True)
        for a, b in zip(made.items[begin : end - 1], made.items[begin + 1 : end], strict=True)
    ]
    assert np.mean(near) > np.mean(vectors @ vectors.T) + 0.05
