from __future__ import annotations

import numpy as np
import pytest

from streams.drift.text_shift import PROJECTED, centroid_shift, mmd_shift, projected


def sample(seed: int, n: int, shift: float = 0.0) -> np.ndarray:
    """Vectors of unequal spread, moved along the first axis."""
    spread = np.linspace(0.2, 2.0, 8)
    vectors = np.random.default_rng(seed).standard_normal((n, 8)) * spread
    vectors[:, 0] += shift
    return vectors.astype(np.float32)


def test_a_projection_keeps_distances() -> None:
    texts = np.random.default_rng(1).standard_normal((60, 384)).astype(np.float32)
    there, here = (np.linalg.norm(one[:30] - one[30:], axis=1) for one in (texts, projected(texts)))
    assert projected(texts).shape == (60, PROJECTED)
    assert np.mean(here / there) == pytest.approx(1, abs=0.1)


def test_the_centroid_moves_in_units_of_the_spread() -> None:
    reference, current = sample(1, 400), sample(2, 300, shift=3.0)
    distance = np.linalg.norm(reference.mean(axis=0) - current.mean(axis=0))
    within = np.concatenate([one - one.mean(axis=0) for one in (reference, current)])
    spread = np.sqrt((within.astype(np.float64) ** 2).sum() / (700 - 2))
    assert centroid_shift(reference, current, 0.01).distance == pytest.approx(distance / spread, rel=1e-4)


def test_unchanged_centroids_pass_the_threshold_as_often_as_it_says() -> None:
    found = [centroid_shift(sample(n, 400), sample(10_000 + n, 200), 0.1) for n in range(500)]
    assert sum(one.distance > one.chance for one in found) / 500 == pytest.approx(0.1, abs=0.045)


def test_the_discrepancy_is_the_unbiased_one() -> None:
    reference, current = sample(3, 12), sample(4, 9, shift=1.0)
    both = np.concatenate([reference, current]).astype(np.float64)
    squared = ((both[:, None] - both[None]) ** 2).sum(axis=2)
    kernel = np.exp(-squared / np.median(squared[np.triu_indices(21, 1)]))
    within = [
        (part.sum() - np.trace(part)) / (len(part) * (len(part) - 1))
        for part in (kernel[:12, :12], kernel[12:, 12:])
    ]
    expected = sum(within) - 2 * kernel[:12, 12:].mean()
    assert mmd_shift(reference, current, 0.05).distance == pytest.approx(expected, abs=1e-5)


def test_unchanged_samples_pass_the_permutations_as_often_as_they_say() -> None:
    found = [mmd_shift(sample(n, 40), sample(10_000 + n, 30), 0.1, seed=n) for n in range(200)]
    assert sum(one.distance > one.chance for one in found) / 200 == pytest.approx(0.1, abs=0.07)


def test_another_shape_with_the_same_mean_is_seen_by_the_discrepancy_alone() -> None:
    rng = np.random.default_rng(7)
    reference = rng.standard_normal((300, 4)).astype(np.float32)
    current = np.concatenate([reference[:150], -reference[:150]]) * np.float32(2)
    mmd = mmd_shift(reference, current, 0.01)
    assert mmd.distance > 2 * mmd.chance
    centroid = centroid_shift(reference, current, 0.01)
    assert centroid.distance <= centroid.chance


@pytest.mark.parametrize("size", [0, 1])
def test_too_little_shows_no_shift(size: int) -> None:
    few, many = sample(1, size), sample(2, 50)
    assert mmd_shift(many, few, 0.01) == (0.0, 0.0)
    assert centroid_shift(many, few, 0.01) == (0.0, 0.0)
