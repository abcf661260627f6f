"""The protocol, on methods whose ranking is known, against a loop over the published lines."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from encoders.datasets import LeaveOneOut, load
from encoders.evaluation import leave_one_out
from encoders.evaluation.leave_one_out import evaluate
from encoders.evaluation.methods import Histories, Popularity, padded

SPLIT = LeaveOneOut(
    sequences=[[0, 1, 1], [1, 2], [1, 0]],
    valid=[([0, 1, 1], 2), ([1, 2], 0), ([1, 0], 3)],
    test=[([0, 1, 1, 2], 1), ([1, 2, 0], 0), ([1, 0, 3], 4)],
)
"""Training counts: item 1 four times, item 0 twice, item 2 once, items 3 to 19 never."""


class NextIndex:
    """Ranks the item after the history's last first, then the one after that, and so on around."""

    name = "next-index"

    def fit(self, sequences: Histories, n_items: int) -> None:
        self.fitted = sequences
        self.n_items = n_items

    def scores(self, histories: Histories) -> np.ndarray:
        last = np.array([history[-1] for history in histories])
        return -((np.arange(self.n_items) - last[:, None] - 1) % self.n_items).astype(np.float32)


def test_popularity_has_the_metrics_of_its_counts():
    found = evaluate(Popularity(), SPLIT, n_items=20)
    # Targets 1, 0, 4 have ranks 1, 2 and, tied with 16 others that were never seen, 20.
    assert found["recall_at_10"] == pytest.approx(2 / 3)
    assert found["recall_at_50"] == pytest.approx(1.0)
    assert found["ndcg_at_10"] == pytest.approx((1 + 1 / np.log2(3)) / 3)
    assert found["ndcg_at_50"] == pytest.approx((1 + 1 / np.log2(3) + 1 / np.log2(21)) / 3)
    assert found["precision_at_10"] == pytest.approx(2 / 3 / 10)
    assert found["coverage_at_10"] == pytest.approx(10 / 20)


def test_a_method_learns_from_all_that_came_before_the_test_target():
    method = NextIndex()
    evaluate(method, SPLIT, n_items=20)
    assert method.fitted == [history for history, _ in SPLIT.test]


def test_a_method_learns_from_the_training_part_alone_where_asked():
    method = NextIndex()
    evaluate(method, SPLIT, n_items=20, train_only=True)
    assert method.fitted == SPLIT.sequences


def test_items_of_the_history_may_be_recommended_again():
    split = LeaveOneOut([[0, 1]], [([0, 1], 2)], [([2, 1], 2)])
    assert evaluate(NextIndex(), split, n_items=20)["ndcg_at_10"] == 1.0


def test_figures_do_not_depend_on_the_batches(monkeypatch):
    rng = np.random.default_rng(7)
    test = [(rng.integers(0, 20, rng.integers(1, 9)).tolist(), int(rng.integers(20))) for _ in range(50)]
    split = LeaveOneOut([[0]], [], test)
    whole = evaluate(NextIndex(), split, n_items=20)
    monkeypatch.setattr(leave_one_out, "BATCH", 7)
    assert evaluate(NextIndex(), split, n_items=20) == pytest.approx(whole)


def test_padding_keeps_the_newest_items():
    items, lengths = padded([[1, 2, 3, 4], [5], []], longest=3)
    assert items.tolist() == [[2, 3, 4], [5, 0, 0], [0, 0, 0]]
    assert lengths.tolist() == [3, 1, 0]


@pytest.mark.data
def test_popularity_on_amazon_scientific_agrees_with_a_loop_over_the_published_files(data_dir):
    folder = data_dir / "amazon_scientific"
    dataset = load("unisrec", folder)
    assert dataset.split is not None

    def rows(part: str) -> list[list[str]]:
        text = (folder / f"Scientific.{part}.inter").read_text().splitlines()[1:]
        return [line.split("\t") for line in text]

    # The published rows hold every training event once as a target, but for a user's first.
    counts = Counter(dict.fromkeys(map(str, range(len(dataset.items))), 0))
    counts.update(target for _, _, target in rows("train"))
    counts.update(history for _, history, _ in rows("train") if " " not in history)
    ranks = [sum(n >= counts[target] for n in counts.values()) for _, _, target in rows("test")[:500]]

    split = LeaveOneOut(dataset.split.sequences, [], dataset.split.test[:500])
    found = evaluate(Popularity(), split, len(dataset.items), train_only=True)
    assert found["recall_at_50"] == pytest.approx(np.mean([rank <= 50 for rank in ranks]))
    assert found["ndcg_at_10"] == pytest.approx(
        np.mean([1 / np.log2(rank + 1) if rank <= 10 else 0 for rank in ranks])
    )
