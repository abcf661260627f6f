from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from encoders.batching import TrainingSequences, sequences_of
from encoders.domains import Domain, mixed, steps_of

BATCH = 4


def domain(users: int, share: float = 1.0) -> Domain:
    histories = np.random.default_rng(users).integers(0, 10, (users, 5)).tolist()
    return Domain(torch.zeros(10, 2), TrainingSequences(sequences_of(histories)), share)


def drawn(domains: list[Domain], seed: int = 0) -> list[int]:
    return [number for number, _ in mixed(domains, BATCH, 5, np.random.default_rng(seed))]


def test_one_domain_is_passed_over_once() -> None:
    assert len(drawn([domain(17)])) == -(-17 // BATCH)


def test_equal_shares_give_equal_numbers_of_batches_whatever_the_sizes() -> None:
    counts = Counter(drawn([domain(16), domain(400)]))
    assert counts[0] == counts[1] == 16 // BATCH


def test_a_small_domain_is_passed_over_again_for_its_share() -> None:
    counts = Counter(drawn([domain(160, share=0.8), domain(8, share=0.2)]))
    assert counts == {0: 160 // BATCH, 1: 160 // BATCH // 4}


def test_the_same_seed_mixes_alike() -> None:
    domains = [domain(40), domain(40)]
    assert drawn(domains, 3) == drawn(domains, 3)


def test_an_epoch_has_as_many_steps_as_it_says() -> None:
    domains = [domain(32, share=0.7), domain(100, share=0.3)]
    assert len(drawn(domains)) == sum(steps_of(domains, BATCH))


def test_popularity_sums_to_one_and_leaves_no_item_out() -> None:
    popularity = domain(3).popularity
    assert float(popularity.sum()) == 1.0
    assert float(popularity.min()) >= 0.5 / 10
