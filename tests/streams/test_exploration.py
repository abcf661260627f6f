"""Exploration: a share of the list for new items, the same at every replay."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from streams.exploration import explore

ids = st.lists(st.text("abcdefgh", min_size=1, max_size=2), unique=True, max_size=30)
shares = st.floats(0, 1)


@given(ranked=ids, new=ids, share=shares, k=st.integers(1, 25), seed=st.text(max_size=5))
def test_new_items_are_in_the_lower_half_and_the_rest_keeps_its_order(
    ranked: list[str], new: list[str], share: float, k: int, seed: str
) -> None:
    found, explored = explore(ranked, new, share, k, seed)
    first = (len(found) + 1) // 2
    kept = [item for item, flag in zip(found, explored, strict=True) if not flag]
    added = [item for item, flag in zip(found, explored, strict=True) if flag]
    assert len(set(found)) == len(found) <= k
    assert found[:first] == ranked[:first]
    assert kept == ranked[: len(kept)]
    assert set(added) <= set(new) - set(ranked[:k])
    assert not any(explored[:first])


@given(ranked=ids, new=ids, share=shares, k=st.integers(1, 25))
def test_a_list_is_not_made_shorter(ranked: list[str], new: list[str], share: float, k: int) -> None:
    assert len(explore(ranked, new, share, k, "seed")[0]) >= min(k, len(ranked))


@given(share=st.floats(0, 0.5), k=st.integers(2, 25))
def test_the_share_is_kept_where_there_is_enough_of_both(share: float, k: int) -> None:
    explored = explore([f"r{i}" for i in range(k)], [f"n{i}" for i in range(k)], share, k, "seed")[1]
    assert sum(explored) == min(int(share * k + 0.5), k // 2)


@given(new=ids, seed=st.text(max_size=5))
def test_a_replay_says_the_same_whatever_the_order_of_new_items(new: list[str], seed: str) -> None:
    ranked = [f"r{i}" for i in range(20)]
    once = explore(ranked, new, 0.3, 20, seed)
    assert once == explore(ranked, new[::-1], 0.3, 20, seed)


def test_picks_and_places_are_spread_evenly_over_seeds() -> None:
    """4,000 draws of one of 5 items and one of 5 places: 800 each, standard deviation 25."""
    ranked, new = [f"r{i}" for i in range(10)], [f"n{i}" for i in range(5)]
    picks, places = Counter[str](), Counter[int]()
    for seed in range(4_000):
        found, explored = explore(ranked, new, 0.1, 10, str(seed))
        places[explored.index(True)] += 1
        picks[found[explored.index(True)]] += 1
    assert set(places) == {5, 6, 7, 8, 9}
    assert max(abs(count - 800) for count in [*picks.values(), *places.values()]) < 5 * 25


def test_without_a_share_the_ranked_items_stay() -> None:
    assert explore(["a", "b", "c"], ["n"], 0.0, 2, "seed") == (["a", "b"], [False, False])


def test_a_list_of_one_has_no_lower_half() -> None:
    assert explore(["a", "b"], ["n"], 1.0, 1, "seed") == (["a"], [False])
