from __future__ import annotations

from encoders.datasets import LeaveOneOut
from encoders.evaluation.learning_curve import sampled

SPLIT = LeaveOneOut(
    [[user] * (3 + user % 3) for user in range(40)],
    [([user] * (3 + user % 3), 100 + user) for user in range(40)],
    [([user], 200 + user) for user in range(40)],
)


def count(split: LeaveOneOut) -> int:
    return sum(len(sequence) + 1 for sequence in split.sequences)


def test_a_sample_has_as_many_interactions_as_asked_and_at_most_a_user_more() -> None:
    assert 50 <= count(sampled(SPLIT, 50, 0)) < 50 + 6


def test_a_sample_keeps_users_whole_and_all_test_cases() -> None:
    sample = sampled(SPLIT, 30, 1)
    users = [target - 100 for _, target in sample.valid]
    assert sample.sequences == [SPLIT.sequences[user] for user in users]
    assert sample.test == SPLIT.test


def test_another_seed_draws_other_users() -> None:
    assert sampled(SPLIT, 30, 0).valid != sampled(SPLIT, 30, 1).valid


def test_no_size_is_everything() -> None:
    assert sampled(SPLIT, None, 0) is SPLIT


def test_a_size_of_nothing_is_nothing() -> None:
    assert sampled(SPLIT, 0, 0).sequences == []
