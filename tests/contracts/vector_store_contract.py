"""What every ``VectorStore`` promises: a module that inherits the class and gives ``store`` runs the tests.

Vectors are random and seeded; what is expected is computed with numpy, the oracle.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from encoders.errors import StoreError
from exporters.vector_store import (
    CollectionNames,
    CounterRecord,
    EvidenceRecord,
    ItemRecord,
    UserRecord,
    Vector,
    VectorSizes,
    VectorStore,
)

NAMES = CollectionNames.of("v1", prefix="test-")
OTHER = CollectionNames.of("v2", prefix="test-")
SIZES = VectorSizes(item=8, text=6, state=16)
AWKWARD_IDS = ["", " ", "a/b?c#d", "ключ-ключ", "買い物🛒", "x" * 20_000, "../../etc/passwd", "null", "0"]


def unit(rng: np.random.Generator, *shape: int) -> Vector:
    """Random vectors [..., d] of unit length, float32."""
    vectors = rng.standard_normal(shape)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def turned(texts: Vector) -> Vector:
    """Another version's item tower: [n, t] -> [n, d]."""
    return np.concatenate([texts[:, ::-1], texts[:, :2]], axis=1)


def item(item_id: str, vector: Vector | None = None, **changes: object) -> ItemRecord:
    """An item whose vectors follow from its id alone."""
    rng = np.random.default_rng(sum(item_id.encode()) + 7 * len(item_id))
    record = ItemRecord(
        item_id=item_id,
        vector=unit(rng, SIZES.item) if vector is None else vector,
        text_vector=unit(rng, SIZES.text),
        title=f"Title of {item_id[:20]}",
        categories=("Home", "Küche"),
        price=12.5,
        available=True,
        text_digest="d1",
        source_offset=10,
        updated_at_ms=1_700_000_000_000,
        brand="Ächt",
        created_at_ms=1_600_000_000_000,
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def user(user_id: str, sequence: int = 1, token: int = 1, **changes: object) -> UserRecord:
    """A user whose vectors follow from its id and its sequence."""
    rng = np.random.default_rng(sum(user_id.encode()) + 1000 * sequence)
    record = UserRecord(
        user_id=user_id,
        interest=unit(rng, SIZES.item),
        state=rng.standard_normal(SIZES.state).astype(np.float32),
        blob=bytes(rng.integers(0, 256, 300, dtype=np.uint8)),
        sequence=sequence,
        token=token,
        waiting=0,
        updated_at_ms=1_700_000_000_000 + sequence,
    )
    return replace(record, **changes)  # type: ignore[arg-type]


Record = ItemRecord | UserRecord | EvidenceRecord


def assert_same(actual: Record | None, expected: Record) -> None:
    """Every field equal, arrays bit for bit and of the same type."""
    assert type(actual) is type(expected)
    for name in expected.__dataclass_fields__:
        left, right = getattr(actual, name), getattr(expected, name)
        if isinstance(right, np.ndarray):
            assert left.dtype == right.dtype, name
            np.testing.assert_array_equal(left, right, err_msg=name)
        else:
            assert left == right, name


def without_text(record: ItemRecord) -> ItemRecord:
    return replace(record, text_vector=np.zeros(0, dtype=np.float32))


def best(vectors: Vector, query: Vector, limit: int) -> list[str]:
    """Ids ``i0``, ``i1``, … of the nearest rows of ``vectors`` [n, d], by an exact scan."""
    return [f"i{row}" for row in np.argsort(-(vectors @ query), kind="stable")[:limit]]


class VectorStoreContract:
    """Inherit it and give a fixture ``store``: an empty store with nothing ensured."""

    shared = False
    """Whether another process may write to the adapter's store."""

    @pytest.fixture
    def empty(self, store: VectorStore) -> VectorStore:
        store.ensure_collections(NAMES, SIZES)
        return store

    # -- collections

    def test_ensuring_twice_keeps_what_is_stored(self, empty: VectorStore) -> None:
        empty.upsert_users(NAMES, [user("u")])
        empty.ensure_collections(NAMES, SIZES)
        assert_same(empty.retrieve_users(NAMES, ["u"])[0], user("u"))

    @pytest.mark.parametrize("changed", ["item", "text", "state"])
    def test_other_sizes_than_the_stored_ones_are_refused(self, empty: VectorStore, changed: str) -> None:
        with pytest.raises(StoreError, match=r"v1"):
            empty.ensure_collections(NAMES, replace(SIZES, **{changed: 5}))

    def test_refusing_other_sizes_keeps_what_is_stored(self, empty: VectorStore) -> None:
        empty.upsert_users(NAMES, [user("u")])
        with pytest.raises(StoreError):
            empty.ensure_collections(NAMES, replace(SIZES, state=5))
        assert_same(empty.retrieve_users(NAMES, ["u"])[0], user("u"))

    def test_two_model_versions_do_not_see_each_other(self, empty: VectorStore) -> None:
        other = CollectionNames.of("v2", prefix="test-")
        empty.ensure_collections(other, VectorSizes(item=4, text=6, state=2))
        empty.upsert_users(NAMES, [user("u")])
        assert empty.retrieve_users(other, ["u"]) == [None]

    def test_it_knows_which_versions_have_users(self, empty: VectorStore) -> None:
        assert empty.has_users(NAMES)
        assert not empty.has_users(CollectionNames.of("never", prefix="test-"))

    def test_a_collection_that_nobody_made_is_an_error(self, store: VectorStore) -> None:
        with pytest.raises(StoreError):
            store.retrieve_users(CollectionNames.of("absent"), ["u"])

    def test_a_vector_of_another_size_is_refused(self, empty: VectorStore) -> None:
        with pytest.raises(StoreError):
            empty.upsert_users(NAMES, [user("u", state=np.zeros(3, dtype=np.float32))])

    def test_a_query_of_another_size_is_refused(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item("i0")])
        with pytest.raises(StoreError):
            empty.nearest_items(NAMES, np.ones((1, 3), dtype=np.float32), [1])

    def test_it_says_whether_others_may_write(self, store: VectorStore) -> None:
        assert store.shared is self.shared

    def test_ping_answers(self, store: VectorStore) -> None:
        store.ping()

    # -- items

    def test_an_item_comes_back_as_it_was_written(self, empty: VectorStore) -> None:
        written = item("i", price=None, available=False, categories=(), brand=None, created_at_ms=0)
        empty.upsert_items(NAMES, [written])
        assert_same(empty.retrieve_items(NAMES, ["i"], with_text=True)[0], written)

    def test_an_items_text_vector_stays_away_unless_asked_for(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item("i")])
        assert_same(empty.retrieve_items(NAMES, ["i"])[0], without_text(item("i")))

    def test_items_come_in_the_order_asked_for_with_none_for_missing_ones(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item("a"), item("b")])
        found = empty.retrieve_items(NAMES, ["b", "missing", "a", "b"])
        assert [record and record.item_id for record in found] == ["b", None, "a", "b"]

    def test_a_newer_message_overwrites_an_item(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item("i", source_offset=10)])
        newer = item("i", source_offset=11, title="new")
        empty.upsert_items(NAMES, [newer])
        assert_same(empty.retrieve_items(NAMES, ["i"], with_text=True)[0], newer)

    @pytest.mark.parametrize("offset", [9, 10])
    def test_a_message_that_is_not_newer_is_ignored(self, empty: VectorStore, offset: int) -> None:
        empty.upsert_items(NAMES, [item("i", source_offset=10)])
        empty.upsert_items(NAMES, [item("i", source_offset=offset, title="stale")])
        assert empty.retrieve_items(NAMES, ["i"])[0].title == item("i").title  # type: ignore[union-attr]

    def test_one_stale_item_does_not_hold_back_the_others_of_its_batch(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item("a", source_offset=10)])
        batch = [item("a", source_offset=5, title="x"), item("b", source_offset=6, title="x")]
        empty.upsert_items(NAMES, batch)
        titles = [record and record.title for record in empty.retrieve_items(NAMES, ["a", "b"])]
        assert titles == [item("a").title, "x"]

    def test_the_last_of_several_messages_for_one_item_in_a_batch_wins(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item("i", source_offset=n, title=str(n)) for n in (1, 3, 2)])
        assert empty.retrieve_items(NAMES, ["i"])[0].title == "3"  # type: ignore[union-attr]

    def test_items_are_counted_exactly_available_or_not(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item(f"i{n}", available=n % 2 == 0) for n in range(31)])
        assert empty.count_items(NAMES) == 31

    def test_scrolling_gives_every_item_once_over_many_pages(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item(f"i{n}") for n in range(1203)])
        pages = list(empty.scroll_items(NAMES))
        ids = [record.item_id for page in pages for record in page]
        assert len(pages) > 1
        assert sorted(ids) == sorted(f"i{n}" for n in range(1203))

    def test_scrolling_gives_items_as_they_were_written(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item("i")])
        ((found,),) = empty.scroll_items(NAMES)
        assert_same(found, without_text(item("i")))

    def test_scrolling_since_a_time_includes_that_time(self, empty: VectorStore) -> None:
        at = 1_700_000_000_123
        empty.upsert_items(NAMES, [item(f"i{n}", updated_at_ms=at + n) for n in (-1, 0, 1)])
        found = {record.item_id for page in empty.scroll_items(NAMES, updated_since_ms=at) for record in page}
        assert found == {"i0", "i1"}

    def test_scrolling_an_empty_collection_gives_nothing(self, empty: VectorStore) -> None:
        assert list(empty.scroll_items(NAMES)) == []

    # -- copying items

    def test_items_are_copied_whole_with_other_vectors(self, empty: VectorStore) -> None:
        empty.ensure_collections(OTHER, SIZES)
        items = [item(f"i{n}") for n in range(120)]
        empty.upsert_items(NAMES, items)
        written = [one for page in empty.copy_items(NAMES, OTHER, turned) for one in page]
        assert sorted(one.item_id for one in written) == sorted(one.item_id for one in items)
        wanted = replace(items[7], vector=turned(items[7].text_vector[None])[0])
        assert_same(empty.retrieve_items(OTHER, ["i7"], with_text=True)[0], wanted)

    def test_what_was_copied_is_not_copied_again(self, empty: VectorStore) -> None:
        empty.ensure_collections(OTHER, SIZES)
        empty.upsert_items(NAMES, [item("i")])
        list(empty.copy_items(NAMES, OTHER, turned))
        assert [one for page in empty.copy_items(NAMES, OTHER, turned) for one in page] == []

    def test_a_copy_replaces_what_is_older_and_nothing_that_is_newer(self, empty: VectorStore) -> None:
        empty.ensure_collections(OTHER, SIZES)
        empty.upsert_items(NAMES, [item("a", source_offset=5), item("b", source_offset=5)])
        empty.upsert_items(OTHER, [item("a", source_offset=4), item("b", source_offset=6)])
        written = [one.item_id for page in empty.copy_items(NAMES, OTHER, turned) for one in page]
        assert written == ["a"]
        assert [one and one.source_offset for one in empty.retrieve_items(OTHER, ["a", "b"])] == [5, 6]

    def test_what_comes_newer_while_a_copy_is_at_work_stays(self, empty: VectorStore) -> None:
        empty.ensure_collections(OTHER, SIZES)
        items = [item(f"i{n}", source_offset=5) for n in range(120)]
        empty.upsert_items(NAMES, items)
        pages = empty.copy_items(NAMES, OTHER, turned)
        first = {one.item_id for one in next(pages)}
        late = next(one for one in items if one.item_id not in first)
        empty.upsert_items(OTHER, [replace(late, source_offset=6)])
        given = {one.item_id: one.source_offset for page in pages for one in page}
        assert given.get(late.item_id, 6) == 6
        assert [one and one.source_offset for one in empty.retrieve_items(OTHER, [late.item_id])] == [6]

    def test_only_items_received_since_a_time_are_copied(self, empty: VectorStore) -> None:
        empty.ensure_collections(OTHER, SIZES)
        empty.upsert_items(NAMES, [item(f"i{n}", updated_at_ms=1_700_000_000_000 + n) for n in range(3)])
        pages = empty.copy_items(NAMES, OTHER, turned, 1_700_000_000_001)
        assert {one.item_id for page in pages for one in page} == {"i1", "i2"}

    # -- nearest items

    def test_nearest_items_are_those_of_an_exact_scan(self, empty: VectorStore) -> None:
        rng = np.random.default_rng(3)
        vectors, queries = unit(rng, 400, SIZES.item), unit(rng, 5, SIZES.item)
        empty.upsert_items(NAMES, [item(f"i{n}", vectors[n]) for n in range(400)])
        found = empty.nearest_items(NAMES, queries, [1, 7, 20, 50, 3])
        assert [[hit.item_id for hit in hits] for hits in found] == [
            best(vectors, query, limit) for query, limit in zip(queries, [1, 7, 20, 50, 3])
        ]

    def test_scores_are_dot_products_in_descending_order(self, empty: VectorStore) -> None:
        rng = np.random.default_rng(4)
        vectors, query = unit(rng, 50, SIZES.item), unit(rng, 1, SIZES.item)
        empty.upsert_items(NAMES, [item(f"i{n}", vectors[n]) for n in range(50)])
        scores = [hit.score for hit in empty.nearest_items(NAMES, query, [10])[0]]
        np.testing.assert_allclose(scores, np.sort(vectors @ query[0])[::-1][:10], atol=1e-6)

    def test_unavailable_items_are_never_answered(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item(f"i{n}", available=n % 3 == 0) for n in range(60)])
        (hits,) = empty.nearest_items(NAMES, item("i1").vector[None], [60])
        assert {hit.item_id for hit in hits} == {f"i{n}" for n in range(0, 60, 3)}

    def test_an_item_that_became_unavailable_is_not_answered(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item("a"), item("b")])
        empty.nearest_items(NAMES, item("a").vector[None], [2])
        empty.upsert_items(NAMES, [item("a", available=False, source_offset=11)])
        (hits,) = empty.nearest_items(NAMES, item("a").vector[None], [2])
        assert [hit.item_id for hit in hits] == ["b"]

    def test_equal_scores_come_in_the_order_of_item_ids(self, empty: VectorStore) -> None:
        twin = item("same").vector
        empty.upsert_items(NAMES, [item(item_id, twin) for item_id in ("c", "a", "ä", "b", "Z")])
        (hits,) = empty.nearest_items(NAMES, twin[None], [5])
        assert [hit.item_id for hit in hits] == sorted(["c", "a", "ä", "b", "Z"])

    @pytest.mark.parametrize("limit", [1, 3, 10])
    def test_a_tie_across_the_last_place_is_cut_by_item_id(self, empty: VectorStore, limit: int) -> None:
        twin = item("same").vector
        ids = [f"twin{n:03d}" for n in range(120)]
        empty.upsert_items(NAMES, [item(item_id, twin) for item_id in reversed(ids)])
        (hits,) = empty.nearest_items(NAMES, twin[None], [limit])
        assert [hit.item_id for hit in hits] == ids[:limit]

    def test_a_limit_beyond_the_catalogue_gives_all_available_items(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item("a"), item("b")])
        assert len(empty.nearest_items(NAMES, item("a").vector[None], [5_000])[0]) == 2

    def test_a_limit_of_zero_gives_nothing(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item("a")])
        queries = np.stack([item("a").vector, item("a").vector])
        assert [len(hits) for hits in empty.nearest_items(NAMES, queries, [0, 1])] == [0, 1]

    def test_no_query_gives_no_answer(self, empty: VectorStore) -> None:
        assert empty.nearest_items(NAMES, np.zeros((0, SIZES.item), dtype=np.float32), []) == []

    def test_nothing_is_near_in_an_empty_catalogue(self, empty: VectorStore) -> None:
        assert empty.nearest_items(NAMES, item("a").vector[None], [3]) == [[]]

    def test_nothing_is_near_to_a_query_of_zeros(self, empty: VectorStore) -> None:
        empty.upsert_items(NAMES, [item("a")])
        queries = np.stack([np.zeros(SIZES.item, dtype=np.float32), item("a").vector])
        assert [len(hits) for hits in empty.nearest_items(NAMES, queries, [3, 3])] == [0, 1]

    # -- users

    def test_a_user_comes_back_as_it_was_written(self, empty: VectorStore) -> None:
        written = user("u", token=2**53 - 1, sequence=2**53 - 2, waiting=3)
        assert empty.upsert_users(NAMES, [written]) == []
        assert_same(empty.retrieve_users(NAMES, ["u"])[0], written)

    def test_a_user_without_any_event_has_zeros_and_an_empty_history(self, empty: VectorStore) -> None:
        zeros = np.zeros(SIZES.item, dtype=np.float32)
        written = user("u", interest=zeros, state=np.zeros(SIZES.state, dtype=np.float32), blob=b"")
        empty.upsert_users(NAMES, [written])
        assert_same(empty.retrieve_users(NAMES, ["u"])[0], written)

    def test_users_come_in_the_order_asked_for_with_none_for_missing_ones(self, empty: VectorStore) -> None:
        empty.upsert_users(NAMES, [user("a"), user("b")])
        found = empty.retrieve_users(NAMES, ["b", "missing", "a", "b"])
        assert [record and record.user_id for record in found] == ["b", None, "a", "b"]

    def test_asking_for_nobody_gives_nobody(self, empty: VectorStore) -> None:
        assert (empty.retrieve_users(NAMES, []), empty.upsert_users(NAMES, [])) == ([], [])

    def test_a_batch_larger_than_one_request_is_written_whole(self, empty: VectorStore) -> None:
        users = [user(f"u{n}") for n in range(1101)]
        assert empty.upsert_users(NAMES, users) == []
        found = empty.retrieve_users(NAMES, [record.user_id for record in users])
        assert [record and record.user_id for record in found] == [record.user_id for record in users]
        assert empty.count_users(NAMES) == 1101

    @pytest.mark.parametrize("awkward", AWKWARD_IDS)
    def test_ids_of_any_length_and_alphabet_are_kept(self, empty: VectorStore, awkward: str) -> None:
        empty.upsert_users(NAMES, [user(awkward)])
        empty.upsert_items(NAMES, [item(awkward)])
        assert_same(empty.retrieve_users(NAMES, [awkward])[0], user(awkward))
        assert empty.nearest_items(NAMES, item(awkward).vector[None], [1])[0][0].item_id == awkward

    def test_the_next_sequence_overwrites_a_user(self, empty: VectorStore) -> None:
        empty.upsert_users(NAMES, [user("u", 1, token=1)])
        assert empty.upsert_users(NAMES, [user("u", 2, token=2)]) == []
        assert_same(empty.retrieve_users(NAMES, ["u"])[0], user("u", 2, token=2))

    @pytest.mark.parametrize("sequence", [4, 5])
    def test_a_write_that_comes_late_loses_and_changes_nothing(
        self, empty: VectorStore, sequence: int
    ) -> None:
        empty.upsert_users(NAMES, [user("u", 5, token=1)])
        assert empty.upsert_users(NAMES, [user("u", sequence, token=2)]) == ["u"]
        assert_same(empty.retrieve_users(NAMES, ["u"])[0], user("u", 5, token=1))

    def test_only_the_users_that_lost_are_reported(self, empty: VectorStore) -> None:
        empty.upsert_users(NAMES, [user("b", 5, token=1)])
        batch = [user("a", 1, token=2), user("b", 5, token=2), user("c", 1, token=2)]
        assert empty.upsert_users(NAMES, batch) == ["b"]
        found = empty.retrieve_users(NAMES, ["a", "b", "c"])
        assert [record and record.token for record in found] == [2, 1, 2]

    def test_repeating_a_write_is_no_loss(self, empty: VectorStore) -> None:
        empty.upsert_users(NAMES, [user("u", 3, token=7)])
        assert empty.upsert_users(NAMES, [user("u", 3, token=7)]) == []

    def test_of_many_writers_that_read_the_same_exactly_one_wins(self, empty: VectorStore) -> None:
        empty.upsert_users(NAMES, [user("u", 1, token=1)])
        with ThreadPoolExecutor(8) as pool:
            lost = list(
                pool.map(lambda n: empty.upsert_users(NAMES, [user("u", 2, token=100 + n)]), range(8))
            )
        (stored,) = empty.retrieve_users(NAMES, ["u"])
        winners = [100 + n for n in range(8) if lost[n] == []]
        assert winners == [stored and stored.token]

    def test_no_increment_is_lost_between_concurrent_writers(self, empty: VectorStore) -> None:
        def increment(writer: int) -> None:
            for _ in range(10):
                while True:
                    (stored,) = empty.retrieve_users(NAMES, ["u"])
                    base = stored or user("u", 0, waiting=0)
                    token = writer * 1_000_000 + base.sequence
                    mine = replace(
                        base, sequence=base.sequence + 1, token=token, updated_at_ms=base.updated_at_ms + 1
                    )
                    if empty.upsert_users(NAMES, [mine]) == []:
                        break

        empty.upsert_users(NAMES, [user("u", 1, updated_at_ms=0)])
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(increment, range(1, 5)))
        (stored,) = empty.retrieve_users(NAMES, ["u"])
        assert stored is not None
        assert stored.updated_at_ms >= 40

    def test_several_threads_write_and_read_at_once(self, empty: VectorStore) -> None:
        def work(thread: int) -> list[bool]:
            mine = [user(f"t{thread}-{n}") for n in range(40)]
            empty.upsert_users(NAMES, mine)
            empty.upsert_items(NAMES, [item(f"t{thread}-{n}") for n in range(40)])
            empty.nearest_items(NAMES, mine[0].interest[None], [5])
            found = empty.retrieve_users(NAMES, [record.user_id for record in mine])
            return [record is not None for record in found]

        with ThreadPoolExecutor(6) as pool:
            assert all(all(found) for found in pool.map(work, range(6)))
        assert (empty.count_users(NAMES), empty.count_items(NAMES)) == (240, 240)

    def test_waiting_users_are_found_over_many_pages(self, empty: VectorStore) -> None:
        empty.upsert_users(NAMES, [user(f"u{n}", waiting=n % 2) for n in range(1400)])
        found = [record for page in empty.waiting_users(NAMES) for record in page]
        assert sorted(record.user_id for record in found) == sorted(f"u{n}" for n in range(1, 1400, 2))
        assert_same(found[0], user(found[0].user_id, waiting=1))

    def test_a_user_that_waits_no_more_is_not_found_waiting(self, empty: VectorStore) -> None:
        empty.upsert_users(NAMES, [user("u", 1, waiting=2)])
        empty.upsert_users(NAMES, [user("u", 2, waiting=0)])
        assert list(empty.waiting_users(NAMES)) == []

    # -- counters

    def test_counters_come_back_as_they_were_written(self, empty: VectorStore) -> None:
        written = [CounterRecord("clicks-0", b"\x00\xff", 1), CounterRecord("clicks-1", b"", 2)]
        empty.upsert_counters(NAMES, written)
        assert sorted(empty.read_counters(NAMES), key=lambda counter: counter.name) == written

    @pytest.mark.parametrize(("sequence", "expected"), [(4, b"old"), (5, b"old"), (6, b"new")])
    def test_a_counter_is_overwritten_only_by_a_newer_one(
        self, empty: VectorStore, sequence: int, expected: bytes
    ) -> None:
        empty.upsert_counters(NAMES, [CounterRecord("c", b"old", 5)])
        empty.upsert_counters(NAMES, [CounterRecord("c", b"new", sequence)])
        assert [counter.blob for counter in empty.read_counters(NAMES)] == [expected]

    def test_there_are_no_counters_at_first(self, empty: VectorStore) -> None:
        assert empty.read_counters(NAMES) == []


class DurableContract:
    """What a store promises beyond one life of its client: give ``reopen``, which closes and opens it."""

    def test_everything_is_there_after_a_reopening(
        self, store: VectorStore, reopen: Iterator[VectorStore]
    ) -> None:
        store.ensure_collections(NAMES, SIZES)
        store.upsert_users(NAMES, [user("u")])
        store.upsert_items(NAMES, [item("i")])
        store.upsert_counters(NAMES, [CounterRecord("c", b"1", 1)])
        written = EvidenceRecord("i", np.array([7], np.uint32), np.ones(1, np.float32), b"2", 3, 4, 5)
        store.upsert_evidence(NAMES, [written])
        again = next(reopen)
        assert_same(again.retrieve_users(NAMES, ["u"])[0], user("u"))
        assert_same(again.retrieve_items(NAMES, ["i"], with_text=True)[0], item("i"))
        assert again.read_counters(NAMES) == [CounterRecord("c", b"1", 1)]
        assert_same(again.retrieve_evidence(NAMES, ["i"])[0], written)

    def test_sizes_are_compared_after_a_reopening(
        self, store: VectorStore, reopen: Iterator[VectorStore]
    ) -> None:
        store.ensure_collections(NAMES, SIZES)
        with pytest.raises(StoreError):
            next(reopen).ensure_collections(NAMES, replace(SIZES, state=5))

    def test_closing_twice_is_no_error(self, store: VectorStore) -> None:
        store.close()
        store.close()
