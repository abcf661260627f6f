"""What evidence the systems of the transfer bench are given."""

from __future__ import annotations

from encoders.datasets import LeaveOneOut
from streams.bench.transfer import known_before_test

SPLIT = LeaveOneOut([[0, 1], [2, 3]], [([0, 1], 4), ([2, 3], 5)], [([0, 1, 4], 6), ([2, 3, 5], 7)])
SAMPLE = LeaveOneOut([[2, 3]], [([2, 3], 5)], SPLIT.test)


def test_evidence_is_what_everybody_did_before_the_test() -> None:
    found = known_before_test(SPLIT, SAMPLE, sampled_evidence=False)
    assert (found.sequences, found.test) == ([[0, 1, 4], [2, 3, 5]], SPLIT.test)


def test_sampled_evidence_is_what_the_drawn_users_did_before_it() -> None:
    found = known_before_test(SPLIT, SAMPLE, sampled_evidence=True)
    assert (found.sequences, found.test) == ([[2, 3, 5]], SPLIT.test)
