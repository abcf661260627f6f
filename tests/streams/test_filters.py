"""Filters over the catalogue in memory, against the same rules written out for one item."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.vector_store import ItemFilter
from streams.filters import ANYTHING, NOTHING, allowed, passes_nothing, tightened

CATEGORIES, BRANDS = ("a", "b", "c"), ("x", "y")
PRICES = (0.0, 0.1, 5.0, 19.99, 100.0)


@dataclass(frozen=True)
class Product:
    price: float | None = None
    created_ms: int = 0
    brand: str | None = None
    categories: tuple[str, ...] = ()


class Rows:
    """The facts of some products, as the worker's replica holds them."""

    def __init__(self, products: list[Product]) -> None:
        self.brand_numbers = {brand: number for number, brand in enumerate(BRANDS)}
        self.prices = np.array([np.nan if p.price is None else p.price for p in products], np.float32)
        self.created_ms = np.array([p.created_ms for p in products], np.int64)
        self.brands = np.array([self.brand_numbers.get(p.brand or "", -1) for p in products], np.int64)
        self.categories = [p.categories for p in products]


def names(of: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(of), unique=True, max_size=3).map(tuple)


products = st.builds(
    Product,
    price=st.none() | st.sampled_from(PRICES),
    created_ms=st.integers(0, 3),
    brand=st.none() | st.sampled_from(BRANDS),
    categories=names(CATEGORIES),
)
filters = st.builds(
    ItemFilter,
    min_price=st.none() | st.sampled_from(PRICES),
    max_price=st.none() | st.sampled_from(PRICES),
    any_category=names((*CATEGORIES, "unheard")),
    no_category=names(CATEGORIES),
    any_brand=names((*BRANDS, "unheard")),
    no_brand=names((*BRANDS, "unheard")),
    created_since_ms=st.none() | st.integers(1, 3),
)


def passes(product: Product, asked: ItemFilter) -> bool:
    """The oracle."""
    price_ruled = asked.min_price is not None or asked.max_price is not None
    rules = [
        product.price is not None or not price_ruled,
        product.price is None or asked.min_price is None or product.price >= asked.min_price,
        product.price is None or asked.max_price is None or product.price <= asked.max_price,
        not asked.any_category or any(name in asked.any_category for name in product.categories),
        all(name not in asked.no_category for name in product.categories),
        not asked.any_brand or product.brand in asked.any_brand,
        product.brand not in asked.no_brand,
        asked.created_since_ms is None or product.created_ms >= asked.created_since_ms,
    ]
    return all(rules)


@given(items=st.lists(products, max_size=8), asked=filters)
def test_an_item_is_allowed_if_it_passes_every_rule(items: list[Product], asked: ItemFilter) -> None:
    rows = np.arange(len(items))[::-1]
    expected = [passes(items[row], asked) for row in rows]
    assert allowed(asked, rows, Rows(items)).tolist() == expected


@given(item=products, first=filters, second=filters)
def test_an_item_passes_tightened_filters_if_it_passes_both(
    item: Product, first: ItemFilter, second: ItemFilter
) -> None:
    together = all(passes(item, one) for one in tightened(first, second))
    assert together == (passes(item, first) and passes(item, second))


@given(asked=filters)
def test_asking_for_nothing_more_changes_nothing(asked: ItemFilter) -> None:
    assert tightened(asked, ANYTHING) == (asked,)
    assert tightened(ANYTHING, asked) == (asked,)


def test_brands_that_have_none_in_common_pass_nothing() -> None:
    assert tightened(ItemFilter(any_brand=("x",)), ItemFilter(any_brand=("y",))) == (NOTHING,)


def test_a_department_may_be_narrowed_to_one_of_its_categories() -> None:
    """The item is in both: an intersection of the names would hold it back."""
    department, wanted = ItemFilter(any_category=("Audio",)), ItemFilter(any_category=("Headphones",))
    assert tightened(department, wanted) == (wanted, department)


@pytest.mark.parametrize("narrow_first", [True, False])
def test_one_filter_suffices_where_one_set_of_categories_holds_the_other(narrow_first: bool) -> None:
    narrow, wide = ItemFilter(any_category=("a",)), ItemFilter(any_category=("b", "a"))
    both = (narrow, wide) if narrow_first else (wide, narrow)
    assert tightened(*both) == (narrow,)


@given(item=products, asked=filters)
def test_what_passes_nothing_passes_no_item(item: Product, asked: ItemFilter) -> None:
    assert not (passes_nothing(asked) and passes(item, asked))
    assert not any(passes(item, one) for one in tightened(NOTHING, asked)[:1])


def test_a_filter_without_rules_looks_at_no_facts() -> None:
    assert allowed(ANYTHING, np.arange(3), None).all()  # type: ignore[arg-type]


def test_the_generated_filters_use_every_field() -> None:
    """A rule that is added to the store's filter needs its meaning here."""
    known = {"min_price", "max_price", "any_category", "no_category", "any_brand", "no_brand"}
    assert {field.name for field in fields(ItemFilter)} == known | {"created_since_ms"}
