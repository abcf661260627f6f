"""What every ``VectorStore`` promises of evidence on items. Inherit it beside ``VectorStoreContract``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from encoders.errors import StoreError
from exporters.vector_store import CollectionNames, EvidenceRecord, VectorStore, dimension_of
from tests.contracts.vector_store_contract import AWKWARD_IDS, NAMES, SIZES, assert_same, user


def evidence(item_id: str, sequence: int = 1, token: int = 1, **changes: object) -> EvidenceRecord:
    """Evidence whose 20 neighbours follow from the item's id and the sequence."""
    rng = np.random.default_rng(sum(item_id.encode()) + 1000 * sequence)
    record = EvidenceRecord(
        item_id=item_id,
        dimensions=np.sort(rng.choice(2**32, 20, replace=False).astype(np.uint32)),
        weights=rng.exponential(size=20).astype(np.float32),
        blob=bytes(rng.integers(0, 256, 300, dtype=np.uint8)),
        sequence=sequence,
        token=token,
        updated_at_ms=1_700_000_000_000 + sequence,
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def neighbours(weights: dict[str, float]) -> dict[str, object]:
    """The fields of a record with these neighbours, in this order."""
    return {
        "dimensions": np.array([dimension_of(item_id) for item_id in weights], dtype=np.uint32),
        "weights": np.array(list(weights.values()), dtype=np.float32),
    }


class EvidenceContract:
    """Uses the fixture ``empty`` of ``VectorStoreContract``."""

    def test_evidence_comes_back_as_it_was_written(self, empty: VectorStore) -> None:
        written = evidence("i", sequence=2**53 - 2, token=2**53 - 1)
        assert empty.upsert_evidence(NAMES, [written]) == []
        assert_same(empty.retrieve_evidence(NAMES, ["i"])[0], written)

    def test_the_largest_and_the_smallest_dimension_are_kept(self, empty: VectorStore) -> None:
        dimensions = np.array([0, 2**32 - 1], dtype=np.uint32)
        written = evidence("i", dimensions=dimensions, weights=np.array([1e-30, 1e30], dtype=np.float32))
        empty.upsert_evidence(NAMES, [written])
        assert_same(empty.retrieve_evidence(NAMES, ["i"])[0], written)

    def test_dimensions_come_back_ascending_each_with_its_weight(self, empty: VectorStore) -> None:
        written = evidence("i")
        turned = replace(written, dimensions=written.dimensions[::-1], weights=written.weights[::-1])
        empty.upsert_evidence(NAMES, [turned])
        assert_same(empty.retrieve_evidence(NAMES, ["i"])[0], written)

    def test_neighbours_that_share_a_dimension_are_added_up(self, empty: VectorStore) -> None:
        shared = evidence(
            "i", dimensions=np.array([9, 4, 9], np.uint32), weights=np.array([0.5, 2.0, 0.25], np.float32)
        )
        added = replace(
            shared, dimensions=np.array([4, 9], np.uint32), weights=np.array([2.0, 0.75], np.float32)
        )
        empty.upsert_evidence(NAMES, [shared])
        assert_same(empty.retrieve_evidence(NAMES, ["i"])[0], added)

    def test_evidence_without_neighbours_is_kept(self, empty: VectorStore) -> None:
        written = evidence("i", **neighbours({}), blob=b"")
        assert empty.upsert_evidence(NAMES, [written]) == []
        assert_same(empty.retrieve_evidence(NAMES, ["i"])[0], written)

    def test_the_last_neighbour_can_be_taken_away(self, empty: VectorStore) -> None:
        empty.upsert_evidence(NAMES, [evidence("i", 1)])
        bare = evidence("i", 2, **neighbours({}))
        assert empty.upsert_evidence(NAMES, [bare]) == []
        assert_same(empty.retrieve_evidence(NAMES, ["i"])[0], bare)

    def test_evidence_comes_in_the_order_asked_for_with_none_for_missing(self, empty: VectorStore) -> None:
        empty.upsert_evidence(NAMES, [evidence("a"), evidence("b")])
        found = empty.retrieve_evidence(NAMES, ["b", "missing", "a", "b"])
        assert [record and record.item_id for record in found] == ["b", None, "a", "b"]

    def test_asking_for_no_evidence_gives_none(self, empty: VectorStore) -> None:
        assert (empty.retrieve_evidence(NAMES, []), empty.upsert_evidence(NAMES, [])) == ([], [])

    def test_evidence_on_ids_of_any_length_and_alphabet_is_kept(self, empty: VectorStore) -> None:
        empty.upsert_evidence(NAMES, [evidence(awkward) for awkward in AWKWARD_IDS])
        found = empty.retrieve_evidence(NAMES, AWKWARD_IDS)
        for record, awkward in zip(found, AWKWARD_IDS, strict=True):
            assert_same(record, evidence(awkward))

    def test_evidence_is_of_no_model_version(self, empty: VectorStore) -> None:
        other = CollectionNames.of("v2", prefix="test-")
        empty.ensure_collections(other, SIZES)
        empty.upsert_evidence(NAMES, [evidence("i")])
        assert_same(empty.retrieve_evidence(other, ["i"])[0], evidence("i"))

    def test_a_collection_of_other_vectors_cannot_keep_evidence(self, empty: VectorStore) -> None:
        empty.upsert_users(NAMES, [user("u")])
        with pytest.raises(StoreError):
            empty.ensure_collections(replace(NAMES, evidence=NAMES.users), SIZES)
        assert_same(empty.retrieve_users(NAMES, ["u"])[0], user("u"))

    @pytest.mark.parametrize("sequence", [4, 5])
    def test_evidence_that_comes_late_loses_and_changes_nothing(
        self, empty: VectorStore, sequence: int
    ) -> None:
        empty.upsert_evidence(NAMES, [evidence("i", 5, token=1)])
        assert empty.upsert_evidence(NAMES, [evidence("i", sequence, token=2)]) == ["i"]
        assert_same(empty.retrieve_evidence(NAMES, ["i"])[0], evidence("i", 5, token=1))

    def test_only_the_evidence_that_lost_is_reported(self, empty: VectorStore) -> None:
        empty.upsert_evidence(NAMES, [evidence("b", 5, token=1)])
        batch = [evidence("a", 1, token=2), evidence("b", 5, token=2), evidence("c", 1, token=2)]
        assert empty.upsert_evidence(NAMES, batch) == ["b"]
        found = empty.retrieve_evidence(NAMES, ["a", "b", "c"])
        assert [record and record.token for record in found] == [2, 1, 2]

    def test_repeating_a_write_of_evidence_is_no_loss(self, empty: VectorStore) -> None:
        empty.upsert_evidence(NAMES, [evidence("i", 3, token=7)])
        assert empty.upsert_evidence(NAMES, [evidence("i", 3, token=7)]) == []

    def test_of_many_writers_of_one_items_evidence_exactly_one_wins(self, empty: VectorStore) -> None:
        empty.upsert_evidence(NAMES, [evidence("i", 1, token=1)])
        with ThreadPoolExecutor(8) as pool:
            lost = list(
                pool.map(lambda n: empty.upsert_evidence(NAMES, [evidence("i", 2, token=100 + n)]), range(8))
            )
        (stored,) = empty.retrieve_evidence(NAMES, ["i"])
        assert [100 + n for n in range(8) if lost[n] == []] == [stored and stored.token]

    def test_scrolling_gives_all_evidence_once_over_many_pages(self, empty: VectorStore) -> None:
        written = {f"i{n}": evidence(f"i{n}") for n in range(1203)}
        assert empty.upsert_evidence(NAMES, list(written.values())) == []
        pages = list(empty.scroll_evidence(NAMES))
        found = {record.item_id: record for page in pages for record in page}
        assert len(pages) > 1
        assert sum(map(len, pages)) == len(found) == len(written)
        for item_id in ("i0", "i777", "i1202"):
            assert_same(found[item_id], written[item_id])

    def test_scrolling_evidence_since_a_time_includes_that_time(self, empty: VectorStore) -> None:
        at = 1_700_000_000_123
        empty.upsert_evidence(NAMES, [evidence(f"i{n}", updated_at_ms=at + n) for n in (-1, 0, 1)])
        pages = empty.scroll_evidence(NAMES, updated_since_ms=at)
        assert {record.item_id for page in pages for record in page} == {"i0", "i1"}

    def test_there_is_no_evidence_at_first(self, empty: VectorStore) -> None:
        assert list(empty.scroll_evidence(NAMES)) == []
