from __future__ import annotations

import numpy as np

from encoders.ranking_overlap import neighbour_overlap


def unit(seed: int, count: int = 60, dim: int = 8) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, dim))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def test_a_rotation_keeps_every_neighbour() -> None:
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))
    assert neighbour_overlap(unit(0), (unit(0) @ rotation).astype(np.float32)) == 1.0


def test_overlap_equals_that_of_plain_sorting() -> None:
    one, other = unit(0), unit(2, dim=5)

    def nearest(vectors: np.ndarray, row: int) -> set[int]:
        order = np.argsort(-(vectors @ vectors[row]))
        return set([int(i) for i in order if i != row][:10])

    shares = [len(nearest(one, i) & nearest(other, i)) / 10 for i in range(len(one))]
    assert abs(neighbour_overlap(one, other) - np.mean(shares)) < 1e-6


def test_where_there_are_no_ten_others_nothing_can_be_lost() -> None:
    assert neighbour_overlap(unit(0, count=10), unit(1, count=10)) == 1.0
