"""Two workers change their model on one Qdrant, over real sockets: users go from one to the other, whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import cast

import numpy as np
import pytest

from exporters.qdrant_faults import Retries
from exporters.qdrant_server import ServerVectorStore
from exporters.vector_store import CollectionNames
from streams.state import unpack
from tests.fakes.faulty_vector_store import FaultyVectorStore
from tests.fakes.kafka_messages import click, item
from tests.fakes.releasing import FIRST, Releasing, release
from tests.fakes.wired_worker import FakeModel, WiredWorker
from tests.qdrant_http_server.process import QdrantHttpServer, qdrant_http_server
from tests.qdrant_http_server.quick_folder import quick_folder

ITEMS = tuple(f"item-{n}" for n in range(120))
SECOND = CollectionNames.of("fake-2")


@pytest.fixture(scope="module")
def server() -> Iterator[QdrantHttpServer]:
    with quick_folder() as folder, qdrant_http_server(folder) as running:
        yield running


class LoggingStore(ServerVectorStore):
    """What a wired worker asks of a store besides."""

    def __init__(self, url: str) -> None:
        super().__init__(url, retries=Retries(attempts=1))
        self.log: list[str] = []


@pytest.fixture
def workers(server: QdrantHttpServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Releasing, ...]]:
    """Two of them, each with its own connection, on ``fake-1`` with all items."""
    server.reset()
    with closing(LoggingStore(server.url)) as one, closing(LoggingStore(server.url)) as other:
        wired = [WiredWorker(cast(FaultyVectorStore, store)) for store in (one, other)]
        asyncio.run(wired[0].stock(*ITEMS))
        wired[1].replica.refresh()
        yield tuple(Releasing(worker, monkeypatch) for worker in wired)
        for worker in wired:
            worker.close()


async def both(workers: tuple[Releasing, ...], number: int, champion: str, *lineage: str) -> None:
    """The release reaches both at the same moment."""
    await asyncio.gather(*(worker.obey(release(number, champion, *lineage)) for worker in workers))


async def test_both_fill_at_once_and_every_item_has_the_vector_of_the_new_model(
    workers: tuple[Releasing, ...],
) -> None:
    await both(workers, 1, "fake-2", "fake-1")
    stored = workers[0].worker.store.retrieve_items(SECOND, ITEMS, with_text=True)
    texts = np.stack([one.text_vector for one in stored if one is not None])
    wanted = FakeModel("fake-2", FIRST["fake-2"]).item_vectors(texts)
    for worker in workers:
        assert (worker.version, worker.refusals()) == ("fake-2", {})
        held = worker.worker.serving.replica.items
        np.testing.assert_allclose(np.stack([held[one] for one in ITEMS]), wanted, rtol=1e-6)


async def test_a_user_goes_to_the_other_worker_with_every_event_once(workers: tuple[Releasing, ...]) -> None:
    one, other = (each.worker for each in workers)
    await one.interest.process([click("ann", ITEMS[0], 0)])
    await both(workers, 1, "fake-2", "fake-1")
    await one.interest.process([click("ann", ITEMS[1], 1)])
    await other.interest.partitions_moved({0})
    await other.interest.process([click("ann", ITEMS[1], 1), click("ann", ITEMS[2], 2)])
    history = unpack(workers[0].user("fake-2", "ann").blob)
    assert [one.item_id for one in history.events] == list(ITEMS[:3])
    assert other.counted("redelivered") == 1


async def test_a_user_may_go_between_versions_while_one_worker_has_not_swapped_yet(
    workers: tuple[Releasing, ...],
) -> None:
    ahead, behind = (each.worker for each in workers)
    await ahead.interest.process([click("ann", ITEMS[0], 0)])
    await workers[0].obey(release(1, "fake-2", "fake-1"))
    await ahead.interest.process([click("ann", ITEMS[1], 1)])
    workers[1].unreadable.add("fake-2")
    await workers[1].obey(release(1, "fake-2", "fake-1"))
    await behind.interest.process([click("ann", ITEMS[1], 1), click("ann", ITEMS[2], 2)])
    await ahead.interest.partitions_moved({0})
    await ahead.interest.process([click("ann", ITEMS[3], 3)])
    assert unpack(workers[0].user("fake-2", "ann").blob).applied == 4


async def test_an_item_that_only_the_first_to_swap_heard_of_is_known_to_the_second(
    workers: tuple[Releasing, ...],
) -> None:
    await workers[0].obey(release(1, "fake-2", "fake-1"))
    await workers[0].worker.catalog.process([item("late", 500)])
    await workers[1].obey(release(1, "fake-2", "fake-1"))
    assert "late" in workers[1].worker.serving.replica
