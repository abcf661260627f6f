"""The summary of interests, by the formula in its docstring."""

from __future__ import annotations

import pytest

from streams.profiles import HALF_LIFE_EVENTS, SHOWN_INTERESTS, Interest, interests_of
from streams.state import Applied

CATEGORIES = {
    "pan": ("Kitchen", "Cookware", "Iron"),
    "pot": ("Kitchen", "Cookware", "Steel"),
    "tent": ("Camping", "Tents"),
    "plain": (),
}


def shares(*events: tuple[str, int]) -> dict[tuple[str, ...], float]:
    """Of events (item, strength in hundredths), the newest last."""
    applied = [Applied(item, 0, n, strength) for n, (item, strength) in enumerate(events)]
    return {one.categories: one.share for one in interests_of(applied, CATEGORIES.__getitem__)}


def test_items_of_one_shelf_count_together_under_its_two_widest_names() -> None:
    assert shares(("pan", 100), ("pot", 100)) == {("Kitchen", "Cookware"): 1.0}


def test_an_older_event_weighs_less() -> None:
    newer, older = 1.0, 0.5 ** (1 / HALF_LIFE_EVENTS)
    found = shares(("tent", 100), ("pan", 100))
    assert list(found) == [("Kitchen", "Cookware"), ("Camping", "Tents")]
    assert list(found.values()) == pytest.approx([newer / (newer + older), older / (newer + older)])


def test_a_dislike_takes_from_its_shelf() -> None:
    found = shares(("tent", 100), ("pan", 100), ("pot", -200))
    assert list(found) == [("Camping", "Tents")]


def test_items_without_a_category_say_nothing() -> None:
    assert shares(("plain", 100)) == {}


def test_nothing_is_liked_where_all_is_disliked() -> None:
    assert shares(("pan", -100)) == {}


def test_only_the_strongest_are_told() -> None:
    many = [Applied(str(n), 0, n) for n in range(9)]
    found = interests_of(many, lambda item_id: (item_id,))
    assert [one.categories for one in found] == [(str(n),) for n in range(8, 8 - SHOWN_INTERESTS, -1)]
    assert all(isinstance(one, Interest) for one in found)
