from __future__ import annotations

import numpy as np
import pytest

from encoders.ranking_overlap import list_overlap, neighbour_overlap


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


def test_lists_of_some_interests_are_compared_as_lists_of_items() -> None:
    one, other = unit(0), unit(2, dim=5)
    found = list_overlap((one[:7], one), (other[:7], other))
    shares = []
    for row in range(7):
        lists = [set(np.argsort(-(items @ items[row]))[:10].tolist()) for items in (one, other)]
        shares.append(len(lists[0] & lists[1]) / 10)
    assert abs(found - np.mean(shares)) < 1e-6


def test_only_the_rows_asked_for_count() -> None:
    one, other = unit(0), unit(2, dim=5)
    alone = [neighbour_overlap(one, other, rows=np.array([row])) for row in (3, 8)]
    assert neighbour_overlap(one, other, rows=np.array([3, 8])) == pytest.approx(np.mean(alone))
