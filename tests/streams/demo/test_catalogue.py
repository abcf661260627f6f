"""The simulated catalogue: the same every time, and its texts tell categories apart."""

from __future__ import annotations

from collections import Counter

import pytest

from encoders.errors import SettingsError
from streams.demo.catalogue import bought_with, make_catalogue, shelves


def test_same_arguments_make_the_same_catalogue() -> None:
    assert make_catalogue(300, seed=4) == make_catalogue(300, seed=4)


def test_another_seed_makes_another_catalogue() -> None:
    assert make_catalogue(300, seed=4) != make_catalogue(300, seed=5)


def test_ids_and_titles_are_distinct() -> None:
    items = make_catalogue(2_000)

    assert len({item.item_id for item in items}) == len({item.title for item in items}) == 2_000


def test_items_are_spread_evenly_over_the_shelves() -> None:
    sizes = Counter(item.categories for item in make_catalogue(2_000)).values()

    assert len(sizes) == len(shelves())
    assert max(sizes) - min(sizes) <= 1


def test_there_are_ten_to_twelve_categories_with_several_subcategories() -> None:
    subcategories = {(shelf.category, shelf.subcategory) for shelf in shelves()}
    per_category = Counter(category for category, _ in subcategories)

    assert 10 <= len(per_category) <= 12
    assert min(per_category.values()) >= 3


def test_what_goes_along_is_a_subcategory_of_the_shop() -> None:
    names = {shelf.subcategory for shelf in shelves()}

    assert set(bought_with()) == names
    assert set(bought_with().values()) <= names


def test_prices_lie_between_the_bounds_of_the_shelf() -> None:
    bounds = {(s.category, s.subcategory, s.style): s.price for s in shelves()}

    for item in make_catalogue(500):
        low, high = bounds[item.categories]
        assert item.price is not None
        assert low <= item.price <= high


@pytest.mark.parametrize("count", [0, -1, 20_001])
def test_a_count_out_of_range_is_a_settings_error(count: int) -> None:
    with pytest.raises(SettingsError, match="--items"):
        make_catalogue(count)
