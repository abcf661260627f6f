"""What every ``VectorStore`` promises of filtered searches. Inherit it beside ``VectorStoreContract``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporters.vector_store import ItemFilter, ItemRecord, VectorStore
from tests.contracts.vector_store_contract import NAMES, SIZES, item, unit

NEW_MS = 1_700_000_000_000
SHELF = [
    item("bare", price=None, categories=(), brand=None, created_at_ms=0),
    item("cheap", price=10, categories=("Home", "Küche"), brand="Ächt", created_at_ms=NEW_MS - 1),
    item("dear", price=99.95, categories=("Küche",), brand="Bolt", created_at_ms=NEW_MS),
    item("free", price=0.0, categories=("Toys",), brand=None, created_at_ms=NEW_MS + 1),
    item(
        "gone", price=10.0, categories=("Home", "Toys"), brand="Bolt", available=False, created_at_ms=NEW_MS
    ),
]


def found_by(store: VectorStore, *filters: ItemFilter | None) -> list[list[str]]:
    """For each filter the ids of what passes it, sorted: of all items, by one batch of queries."""
    queries = np.stack([item("bare").vector] * len(filters))
    found = store.nearest_items(NAMES, queries, [1_000] * len(filters), filters)
    return [sorted(hit.item_id for hit in hits) for hits in found]


def random_items(rng: np.random.Generator, n: int) -> list[ItemRecord]:
    """Items ``i0`` … of random vectors, prices, categories and brands."""
    vectors = unit(rng, n, SIZES.item)
    return [
        item(
            f"i{row}",
            vectors[row],
            price=float(rng.integers(0, 50)) if rng.random() < 0.9 else None,
            categories=tuple(f"c{c}" for c in np.flatnonzero(rng.random(5) < 0.3)),
            brand=f"b{rng.integers(0, 4)}" if rng.random() < 0.8 else None,
            created_at_ms=int(rng.integers(0, 1_000)),
        )
        for row in range(n)
    ]


class FilterContract:
    """Uses the fixture ``empty`` of ``VectorStoreContract``."""

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            (ItemFilter(), ["bare", "cheap", "dear", "free"]),
            (ItemFilter(min_price=10), ["cheap", "dear"]),
            (ItemFilter(min_price=0), ["cheap", "dear", "free"]),
            (ItemFilter(max_price=10), ["cheap", "free"]),
            (ItemFilter(max_price=99.94), ["cheap", "free"]),
            (ItemFilter(min_price=10, max_price=10), ["cheap"]),
            (ItemFilter(min_price=11, max_price=10), []),
            (ItemFilter(any_category=("Küche",)), ["cheap", "dear"]),
            (ItemFilter(any_category=("Toys", "Home")), ["cheap", "free"]),
            (ItemFilter(any_category=("",)), []),
            (ItemFilter(no_category=("Küche",)), ["bare", "free"]),
            (ItemFilter(no_category=("Home", "Toys")), ["bare", "dear"]),
            (ItemFilter(any_category=("Küche",), no_category=("Home",)), ["dear"]),
            (ItemFilter(any_brand=("Ächt", "Bolt")), ["cheap", "dear"]),
            (ItemFilter(no_brand=("Bolt",)), ["bare", "cheap", "free"]),
            (ItemFilter(created_since_ms=NEW_MS), ["dear", "free"]),
            (ItemFilter(created_since_ms=0), ["bare", "cheap", "dear", "free"]),
            (ItemFilter(max_price=50, no_category=("Toys",), no_brand=("Bolt",)), ["cheap"]),
        ],
        ids=repr,
    )
    def test_a_filter_lets_through_available_items_that_meet_all_of_it(
        self, empty: VectorStore, wanted: ItemFilter, expected: list[str]
    ) -> None:
        empty.upsert_items(NAMES, SHELF)
        assert found_by(empty, wanted) == [expected]

    def test_each_query_has_its_own_filter(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, SHELF)
        filters = [ItemFilter(any_brand=("Bolt",)), None, ItemFilter(max_price=5), None]
        everything = ["bare", "cheap", "dear", "free"]
        assert found_by(empty, *filters) == [["dear"], everything, ["free"], everything]

    def test_filtered_answers_are_those_of_an_exact_scan_of_what_passes(self, empty: VectorStore) -> None:
        rng = np.random.default_rng(11)
        items, queries = random_items(rng, 400), unit(rng, 4, SIZES.item)
        empty.upsert_items(NAMES, items)
        wanted = ItemFilter(min_price=10, any_category=("c0", "c1"), no_brand=("b2",), created_since_ms=300)
        passing = [
            one
            for one in items
            if one.price is not None
            and one.price >= 10
            and {"c0", "c1"} & set(one.categories)
            and one.brand != "b2"
            and one.created_at_ms >= 300
        ]
        found = empty.nearest_items(NAMES, queries, [5, 10, 20, 400], [wanted] * 4)
        for query, limit, hits in zip(queries, [5, 10, 20, 400], found, strict=True):
            best = sorted(passing, key=lambda one: -float(one.vector @ query))[:limit]
            assert [hit.item_id for hit in hits] == [one.item_id for one in best]

    def test_a_query_without_a_filter_answers_the_same_beside_queries_with_one(
        self, empty: VectorStore
    ) -> None:
        rng = np.random.default_rng(12)
        queries = unit(rng, 3, SIZES.item)
        empty.upsert_items(NAMES, random_items(rng, 300))
        beside = empty.nearest_items(
            NAMES, queries, [20] * 3, [None, ItemFilter(max_price=20), ItemFilter(any_brand=("b1",))]
        )
        assert beside[0] == empty.nearest_items(NAMES, queries[:1], [20])[0]

    @pytest.mark.parametrize("limit", [1, 3, 10])
    def test_a_tie_across_the_last_place_of_a_filtered_answer_is_cut_by_item_id(
        self, empty: VectorStore, limit: int
    ) -> None:
        twin = item("same").vector
        ids = [f"twin{n:03d}" for n in range(120)]
        empty.upsert_items(
            NAMES, [item(item_id, twin, price=n % 2) for n, item_id in reversed(list(enumerate(ids)))]
        )
        (hits,) = empty.nearest_items(NAMES, twin[None], [limit], [ItemFilter(min_price=1)])
        assert [hit.item_id for hit in hits] == ids[1::2][:limit]

    def test_a_filter_sees_an_item_as_it_is_now(self, empty: VectorStore) -> None:
        before = item("i", price=10.0, brand="Bolt")
        empty.upsert_items(NAMES, [before])
        assert found_by(empty, ItemFilter(max_price=15)) == [["i"]]
        empty.upsert_items(NAMES, [replace(before, price=20.0, brand=None, source_offset=11)])
        assert found_by(empty, ItemFilter(max_price=15), ItemFilter(no_brand=("Bolt",))) == [[], ["i"]]

    def test_nothing_passes_in_an_empty_catalogue(self, empty: VectorStore) -> None:
        assert found_by(empty, ItemFilter(max_price=15)) == [[]]
