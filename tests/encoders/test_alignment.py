from __future__ import annotations

import numpy as np
import pytest

from encoders.alignment import alignment
from encoders.whitening import aligned, fit_whitening

ROWS, DIM = 400, 12


def cloud(seed: int, shift: float = 0.0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(ROWS, DIM))
    vectors[:, 0] += shift
    return vectors.astype(np.float32)


def test_two_samples_of_one_distribution_are_near() -> None:
    found = alignment(cloud(0), cloud(1))
    # Means of unit vectors: each component varies by 1 / d, the difference of two means by 2 / (d n).
    assert found.centroid_distance < 2 * np.sqrt(2 / ROWS)
    assert abs(found.mmd) < 2 / ROWS


def test_a_shifted_sample_is_far() -> None:
    near, far = alignment(cloud(0), cloud(1)), alignment(cloud(0), cloud(1, shift=3.0))
    assert far.centroid_distance > 5 * near.centroid_distance
    assert far.mmd > 0.1


def test_the_centroid_distance_is_that_of_unit_vectors() -> None:
    one, other = np.array([[2.0, 0.0]] * 2, np.float32), np.array([[0.0, 5.0]] * 2, np.float32)
    assert alignment(one, other).centroid_distance == pytest.approx(np.sqrt(2))


def test_mmd_equals_the_double_sum_over_pairs() -> None:
    one, other = cloud(2)[:5], cloud(3)[:4]
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (one.astype(float), other.astype(float)))
    both = np.concatenate([x, y])
    width = np.median([np.sum((a - b) ** 2) for i, a in enumerate(both) for b in both[i + 1 :]])

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-np.sum((a - b) ** 2) / width))

    within_x = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    between = np.mean([kernel(a, b) for a in x for b in y])
    assert alignment(one, other).mmd == pytest.approx(within_x + within_y - 2 * between)


def test_aligned_whitening_keeps_every_similarity() -> None:
    vectors = cloud(4)
    whitening, reference = fit_whitening(vectors), fit_whitening(cloud(5))
    turned = aligned(whitening, reference, 5)
    one, other = whitening.apply(vectors)[:, :5], turned.apply(vectors)[:, :5]
    np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-3)


def test_aligned_whitening_undoes_a_rotation_of_the_axes() -> None:
    whitening = fit_whitening(cloud(6))
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(DIM, DIM)))
    rotated = type(whitening)(whitening.mean, (whitening.projection @ rotation).astype(np.float32))
    again = aligned(rotated, whitening, DIM)
    assert (
        np.abs(again.projection - whitening.projection).max()
        < np.abs(rotated.projection - whitening.projection).max()
    )
