"""A worker on fakes changes its model: users keep their histories, nothing is lost or counted twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from encoders.covisitation import CovisitationConfig
from encoders.errors import StoreError, StoreUnavailable
from exporters.vector_store import CollectionNames, EvidenceRecord
from streams.catalog_replica import CatalogReplica
from streams.fold_types import Received
from streams.lookup import recommend
from streams.messages import ModelRelease
from streams.recommender import Stages
from streams.releases import loading
from streams.scenarios import Scenario
from streams.state import unpack
from tests.fakes.kafka_messages import NOW_MS, click, item, purchase
from tests.fakes.model import FakeModel
from tests.fakes.releasing import FIRST, Releasing, at, release
from tests.fakes.wired_worker import POLICY, WiredWorker

ITEMS = ("a", "b", "c", "d", "e")


@pytest.fixture
def releasing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Releasing]:
    worker = WiredWorker()
    asyncio.run(worker.stock(*ITEMS))
    yield Releasing(worker, monkeypatch)
    worker.close()


async def test_the_released_model_takes_over_with_all_items(releasing: Releasing) -> None:
    await releasing.obey(release(1, "fake-2", "fake-1"))
    assert releasing.version == "fake-2"
    assert releasing.worker.store.count_items(CollectionNames.of("fake-2")) == len(ITEMS)
    assert set(releasing.worker.serving.replica.items) == set(ITEMS)


async def test_the_model_before_is_not_believed_under_another_digest(releasing: Releasing) -> None:
    """It is still in memory, and yet what is released as it must be fetched and verified."""
    await releasing.obey(release(1, "fake-2", "fake-1"))
    releasing.unreadable.add("fake-1")
    await releasing.obey(forged(release(2, "fake-1", "fake-2")))
    assert (releasing.version, releasing.refusals()) == ("fake-2", {"unreadable": 1})


async def test_the_model_at_work_is_not_believed_under_another_digest(releasing: Releasing) -> None:
    await releasing.obey(forged(release(1, "fake-1")))
    assert (releasing.changeover.number, releasing.refusals()) == (0, {"digest": 1})


def forged(one: ModelRelease) -> ModelRelease:
    return msgspec.structs.replace(one, champion=msgspec.structs.replace(one.champion, digest="f" * 64))


async def test_lists_after_the_swap_carry_the_new_version(releasing: Releasing) -> None:
    worker = releasing.worker
    await worker.interest.process([click("ann", "a", 0)])
    await releasing.obey(release(1, "fake-2", "fake-1"))
    await worker.interest.process([click("ann", "b", 1)])
    assert [one["model_version"] for one in worker.recommendations()] == ["fake-1", "fake-2"]


async def test_the_swap_is_between_two_batches(releasing: Releasing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works on a batch while the new replica takes over from the one before."""
    worker, held = releasing.worker, []
    take_over = CatalogReplica.take_over

    def watched(replica: CatalogReplica, before: CatalogReplica) -> list[str]:
        held.append([one.lock.locked() for one in (worker.catalog, worker.evidence, worker.interest)])
        return take_over(replica, before)

    monkeypatch.setattr(CatalogReplica, "take_over", watched)
    await releasing.obey(release(1, "fake-2", "fake-1"))
    assert held == [[True, True, True]]


async def test_a_user_is_encoded_again_from_the_history(
    releasing: Releasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = releasing.worker
    events = [
        click("ann", "a", 0),
        purchase("ann", "b", 1, timestamp=NOW_MS - 10),
        click("ann", "c", 2, event_type="dislike"),
        click("ann", "d", 3, event_type="rating", rating=4.5),
    ]
    await worker.interest.process(events[:3])
    await releasing.obey(release(1, "fake-2", "fake-1"))
    await worker.interest.process(events[3:])
    oracle = WiredWorker()
    oracle.model._first = FIRST["fake-2"]
    await oracle.stock(*ITEMS)
    await oracle.interest.process(events)
    np.testing.assert_allclose(releasing.user("fake-2", "ann").state, oracle.user("ann").state, atol=1e-6)
    assert unpack(releasing.user("fake-2", "ann").blob) == oracle.history("ann")
    oracle.close()


async def test_an_event_that_comes_again_after_the_swap_is_not_applied_again(releasing: Releasing) -> None:
    worker = releasing.worker
    await worker.interest.process([click("ann", "a", 0)])
    await releasing.obey(release(1, "fake-2", "fake-1"))
    await worker.interest.process([click("ann", "a", 0), click("ann", "b", 1)])
    assert (worker.counted("applied"), worker.counted("redelivered")) == (2, 1)
    assert unpack(releasing.user("fake-2", "ann").blob).applied == 2


async def test_after_a_rollback_users_keep_what_they_did_meanwhile(releasing: Releasing) -> None:
    worker = releasing.worker
    await worker.interest.process([click("ann", "a", 0)])
    await releasing.obey(release(1, "fake-2", "fake-1"))
    await worker.interest.process([click("ann", "b", 1)])
    await releasing.obey(release(2, "fake-1", "fake-2"))
    await worker.interest.process([click("ann", "c", 2)])
    history = unpack(releasing.user("fake-1", "ann").blob)
    assert [one.item_id for one in history.events] == ["a", "b", "c"]
    assert worker.recommendations()[-1]["model_version"] == "fake-1"


async def test_a_rollback_loads_nothing_and_knows_what_came_meanwhile(releasing: Releasing) -> None:
    worker = releasing.worker
    await releasing.obey(release(1, "fake-2", "fake-1"))
    await worker.catalog.process([item("new", 50)])
    releasing.unreadable.add("fake-1")  # it is in memory still
    await releasing.obey(release(2, "fake-1", "fake-2"))
    assert releasing.version == "fake-1"
    assert set(worker.serving.replica.items) == {*ITEMS, "new"}


async def test_a_user_of_an_older_version_than_the_last_is_found(releasing: Releasing) -> None:
    worker = releasing.worker
    await worker.interest.process([click("ann", "a", 0)])
    await releasing.obey(release(1, "fake-2", "fake-1"))
    await releasing.obey(release(2, "fake-3", "fake-2", "fake-1"))
    await worker.interest.process([click("ann", "b", 1)])
    assert unpack(releasing.user("fake-3", "ann").blob).applied == 2


async def test_who_waits_for_an_item_is_served_by_the_new_model(releasing: Releasing) -> None:
    worker = releasing.worker
    await worker.interest.process([click("ann", "late", 0)])
    await releasing.obey(release(1, "fake-2", "fake-1"))
    await worker.catalog.process([item("late", 99)])
    await worker.interest.release()
    assert [one["model_version"] for one in worker.recommendations()] == ["fake-2"]
    assert unpack(releasing.user("fake-2", "ann").blob).waiting == []


async def test_who_waits_is_found_by_another_worker_after_the_swap(releasing: Releasing) -> None:
    worker = releasing.worker
    await worker.interest.process([click("ann", "late", 0)])
    await releasing.obey(release(1, "fake-2", "fake-1"))
    await worker.interest.partitions_moved({0})
    assert worker.states.waiting_items() == {"late"}


async def test_items_that_come_while_it_is_loaded_are_there_afterwards(
    releasing: Releasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, filling = releasing.worker, loading.fill_items

    def slow(*arguments: Any, **named: Any) -> int:
        asyncio.run(worker.catalog.process([item("new", 50), item("a", 51, price=7.0)]))
        monkeypatch.setattr(loading, "fill_items", filling)
        return filling(*arguments, **named)

    monkeypatch.setattr(loading, "fill_items", slow)
    await releasing.obey(release(1, "fake-2", "fake-1"))
    names = CollectionNames.of("fake-2")
    new, changed = worker.store.retrieve_items(names, ["new", "a"])
    assert (new is not None, changed and changed.price) == (True, 7.0)
    assert "new" in worker.serving.replica


async def test_vectors_of_two_versions_are_never_compared(releasing: Releasing) -> None:
    worker = releasing.worker
    await worker.interest.process([click("ann", "a", 0)])
    before = worker.serving.generation
    await releasing.obey(release(1, "fake-2", "fake-1"))
    after = worker.serving.generation
    assert after.replica is not before.replica
    for version, generation in (("fake-1", before), ("fake-2", after)):
        found = worker.store.retrieve_items(CollectionNames.of(version), ITEMS, with_text=True)
        records = [one for one in found if one is not None]
        wanted = FakeModel(version, FIRST[version]).item_vectors(np.stack([r.text_vector for r in records]))
        held = np.stack([generation.replica.items[r.item_id] for r in records])
        np.testing.assert_array_equal(held, wanted)


class TestRefused:
    """The model at work keeps serving, and says why."""

    async def test_another_text_tower(self, releasing: Releasing) -> None:
        releasing.towers["fake-2"] = "1" * 64
        await releasing.obey(release(1, "fake-2"))
        assert (releasing.version, releasing.refusals()) == ("fake-1", {"text_tower": 1})

    async def test_an_unreadable_location(self, releasing: Releasing) -> None:
        releasing.unreadable.add("fake-2")
        await releasing.obey(release(1, "fake-2"))
        assert (releasing.version, releasing.refusals()) == ("fake-1", {"unreadable": 1})

    @pytest.mark.parametrize("error", [StoreError("disk full"), StoreUnavailable("away")])
    async def test_a_store_that_fails(
        self, releasing: Releasing, monkeypatch: pytest.MonkeyPatch, error: StoreError
    ) -> None:
        def full(*arguments: object) -> None:
            raise error

        monkeypatch.setattr(releasing.worker.store, "upsert_items", full)
        await releasing.obey(release(1, "fake-2"))
        assert (releasing.version, releasing.refusals()) == ("fake-1", {"store": 1})

    async def test_a_release_that_is_older_is_not_looked_at(self, releasing: Releasing) -> None:
        await releasing.obey(release(5, "fake-2", "fake-1"))
        releasing.latest = release(4, "fake-1")
        await releasing.changeover.look()
        assert (releasing.version, releasing.changeover.number) == ("fake-2", 5)

    async def test_what_was_refused_is_not_tried_again_and_again(self, releasing: Releasing) -> None:
        releasing.towers["fake-2"] = "1" * 64
        await releasing.obey(release(1, "fake-2"))
        await releasing.changeover.look()
        await releasing.changeover.stop()
        assert releasing.refusals() == {"text_tower": 1}

    async def test_of_two_releases_the_one_with_the_higher_number_wins(self, releasing: Releasing) -> None:
        releasing.latest = release(1, "fake-2", "fake-1")
        await releasing.changeover.look()
        await releasing.obey(release(2, "fake-3", "fake-1"))
        assert (releasing.version, releasing.refusals()) == ("fake-3", {"superseded": 1})

    async def test_events_go_on(self, releasing: Releasing) -> None:
        releasing.unreadable.add("fake-2")
        await releasing.obey(release(1, "fake-2"))
        await releasing.worker.interest.process([click("ann", "a", 0)])
        assert releasing.worker.recommendations()[-1]["model_version"] == "fake-1"


def by_version(worker: WiredWorker, name: str) -> dict[str, float]:
    """What a counter of drift tells of each version."""
    samples = getattr(worker.metrics.drift, name).collect()[0].samples
    return {one.labels["model_version"]: one.value for one in samples if one.name.endswith("_total")}


class TestChallenger:
    """Another version beside the champion."""

    async def test_in_the_shadow_it_is_compared_and_not_published(self, releasing: Releasing) -> None:
        worker = releasing.worker
        await releasing.obey(release(1, "fake-1", challenger=at("fake-2"), mode="shadow"))
        await worker.interest.process([click("ann", "a", 0)])
        assert [one["model_version"] for one in worker.recommendations()] == ["fake-1"]
        samples = {one.name: one for one in worker.metrics.shadow_overlap.collect()[0].samples}
        count = samples["freshet_shadow_overlap_count"]
        assert (count.labels["model_version"], count.value) == ("fake-2", 1)

    async def test_in_the_shadow_both_versions_are_scored_on_what_users_do_next(
        self, releasing: Releasing
    ) -> None:
        worker = releasing.worker
        await releasing.obey(release(1, "fake-1", challenger=at("fake-2"), mode="shadow"))
        await worker.interest.process([click("ann", "a", 0)])
        await worker.interest.process([click("ann", "b", 1)])
        assert by_version(worker, "scored") == {"fake-1": 1, "fake-2": 1}

    async def test_of_a_canary_lists_and_scores_are_told_by_version(self, releasing: Releasing) -> None:
        worker, users = releasing.worker, [f"u{number}" for number in range(40)]
        await releasing.obey(release(1, "fake-1", challenger=at("fake-2"), mode="canary", canary_share=0.5))
        await worker.interest.process([click(user, "a", n) for n, user in enumerate(users)])
        published = Counter(one["model_version"] for one in worker.recommendations())
        await worker.interest.process([click(user, "b", 100 + n) for n, user in enumerate(users)])
        assert len(published) == 2
        assert by_version(worker, "scored") == published
        assert {
            one.labels["model_version"]: one.value
            for one in worker.metrics.recommendations.collect()[0].samples
            if one.name.endswith("_total")
        } == {version: 2 * lists for version, lists in published.items()}

    async def test_a_canary_answers_its_share_of_the_users(self, releasing: Releasing) -> None:
        worker = releasing.worker
        await releasing.obey(release(1, "fake-1", challenger=at("fake-2"), mode="canary", canary_share=0.25))
        users = [f"u{number}" for number in range(400)]
        await worker.interest.process([click(user, "a", n) for n, user in enumerate(users)])
        versions = [one["model_version"] for one in worker.recommendations()]
        # Four standard deviations of a binomial around the share.
        assert abs(versions.count("fake-2") - 100) < 4 * (400 * 0.25 * 0.75) ** 0.5

    async def test_a_user_stays_with_the_same_version(self, releasing: Releasing) -> None:
        worker = releasing.worker
        await releasing.obey(release(1, "fake-1", challenger=at("fake-2"), mode="canary", canary_share=0.5))
        for n in range(3):
            await worker.interest.process([click(f"u{u}", ITEMS[n], 10 * n + u) for u in range(10)])
        seen = {(one["user_id"], one["model_version"]) for one in worker.recommendations()}
        assert len(seen) == 10

    async def test_users_are_stored_under_the_champion_alone(self, releasing: Releasing) -> None:
        await releasing.obey(release(1, "fake-1", challenger=at("fake-2"), mode="canary", canary_share=1.0))
        await releasing.worker.interest.process([click("ann", "a", 0)])
        assert releasing.user("fake-2", "ann") is None
        assert releasing.user("fake-1", "ann") is not None

    async def test_it_hears_of_new_items(self, releasing: Releasing) -> None:
        await releasing.obey(release(1, "fake-1", challenger=at("fake-2"), mode="shadow"))
        await releasing.worker.catalog.process([item("new", 50)])
        assert releasing.worker.store.count_items(CollectionNames.of("fake-2")) == len(ITEMS) + 1

    async def test_it_is_dropped_where_it_fails_and_the_champion_answers(
        self, releasing: Releasing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker = releasing.worker
        await releasing.obey(release(1, "fake-1", challenger=at("fake-2"), mode="canary", canary_share=1.0))
        assert worker.serving.challenger is not None
        monkeypatch.setattr(worker.serving.challenger.generation.model, "prefill", None)
        await worker.interest.process([click("ann", "a", 0)])
        assert [one["model_version"] for one in worker.recommendations()] == ["fake-1"]
        assert worker.serving.challenger is None

    async def test_a_canary_that_is_promoted_takes_over_at_once(
        self, releasing: Releasing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await releasing.obey(release(1, "fake-1", challenger=at("fake-2"), mode="canary", canary_share=0.1))
        releasing.unreadable.add("fake-2")  # it is in memory already
        await releasing.obey(release(2, "fake-2", "fake-1"))
        assert releasing.version == "fake-2"
        assert releasing.worker.serving.challenger is None


async def test_a_user_who_has_not_come_since_is_looked_up_with_the_history(releasing: Releasing) -> None:
    worker = releasing.worker
    await worker.interest.process([click("ann", "a", 0), click("ann", "b", 1)])
    await releasing.obey(release(1, "fake-2", "fake-1"))
    serving = worker.serving
    found = recommend(serving.store, serving.generation, "ann", Scenario(k=3), serving.elsewhere)
    assert (found.basis, found.events, len(found.items)) == ("history", 2, 3)
    assert releasing.user("fake-2", "ann") is None


async def test_evidence_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting = replace(POLICY, covisitation=CovisitationConfig(window=3))
    swapped, steady = (WiredWorker(None, collecting, Stages()) for _ in range(2))
    for worker in (swapped, steady):
        await worker.stock(*ITEMS)
        worker.publisher.delivered.clear()
    releasing = Releasing(swapped, monkeypatch)
    for turn in range(3):
        for worker in (swapped, steady):
            await worker.interest.process(
                [click(f"u{n}", ITEMS[(n + turn) % 5], 10 * turn + n) for n in range(4)]
            )
            await worker.evidence.process(evidence_of(worker))
        if turn < 2:
            await releasing.obey(release(turn + 1, f"fake-{turn + 2}", "fake-1", "fake-2"))
    for one, other in zip(evidence_in(swapped), evidence_in(steady), strict=True):
        np.testing.assert_array_equal(one.dimensions, other.dimensions)
        np.testing.assert_allclose(one.weights, other.weights, rtol=1e-6)
    held, wanted = (worker.serving.replica.evidence.popularity(NOW_MS / 1000) for worker in (swapped, steady))
    np.testing.assert_allclose(np.sort(held), np.sort(wanted), rtol=1e-6)
    for worker in (swapped, steady):
        worker.close()


def evidence_of(worker: WiredWorker) -> list[Received]:
    """What the worker has published on ``evidence`` since the beginning, as Kafka would give it."""
    sent = worker.publisher.on("evidence")
    return [
        Received("evidence", one.partition or 0, n, None, one.value, NOW_MS) for n, one in enumerate(sent)
    ]


def evidence_in(worker: WiredWorker) -> list[EvidenceRecord]:
    found = worker.store.retrieve_evidence(worker.names, list(ITEMS))
    return [one for one in found if one is not None]


async def test_a_worker_that_could_not_swap_goes_on_with_users_of_one_that_did(releasing: Releasing) -> None:
    worker, behind = releasing.worker, WiredWorker(releasing.worker.store)
    behind.replica.refresh()
    refusing = releasing.for_worker(behind)
    await worker.interest.process([click("ann", "a", 0)])
    await releasing.obey(release(1, "fake-2", "fake-1"))
    await worker.interest.process([click("ann", "b", 1)])
    releasing.unreadable.add("fake-2")
    await refusing.look()
    await refusing.stop()
    await behind.interest.process([click("ann", "c", 2)])
    await worker.interest.partitions_moved({0})
    await worker.interest.process([click("ann", "d", 3)])
    history = unpack(releasing.user("fake-2", "ann").blob)
    assert [one.item_id for one in history.events] == ["a", "b", "c", "d"]
    assert behind.recommendations()[-1]["model_version"] == "fake-1"
    behind.close()
