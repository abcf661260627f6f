"""The HTTP interface over real sockets, on a worker of fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from encoders.errors import StoreUnavailable
from streams.api import RecommendationApi
from streams.http_server import HttpServer, bind
from streams.scenarios import Scenario
from streams.settings import HttpSettings
from tests.fakes.kafka_messages import click
from tests.fakes.wired_worker import WiredWorker

ITEMS = ("lamp", "shoe", "sock", "boot", "cup")


class Served:
    """A wired worker behind its port."""

    def __init__(self) -> None:
        self.worker = WiredWorker()
        listener = bind(HttpSettings(port=0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        api = RecommendationApi(self.worker.serving, {"home": Scenario(k=3)})
        self.server = HttpServer(listener, self.worker.metrics, list, api)

    async def get(self, path: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return answer.status, await answer.json()

    async def post(self, body: Any) -> tuple[int, Any]:
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + "/recommendations", **sent) as answer,
        ):
            return answer.status, await answer.json()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    await made.server.start()
    await made.worker.stock(*ITEMS)
    yield made
    await made.server.stop()
    made.worker.close()


def ids(answer: dict[str, Any]) -> list[str]:
    return [one["item_id"] for one in answer["items"]]


async def test_a_known_user_gets_the_nearest_items_without_the_seen_one(served: Served) -> None:
    await served.worker.interest.process([click("ann", "shoe", 0)])
    status, answer = await served.get("/recommendations/ann")
    assert (status, answer["basis"], answer["user_id"]) == (200, "history", "ann")
    assert len(ids(answer)) == 3
    assert "shoe" not in ids(answer)


async def test_the_stored_answer_equals_the_published_one(served: Served) -> None:
    await served.worker.interest.process([click("ann", "shoe", 0)])
    published = served.worker.recommendations()[-1]
    _, answer = await served.get("/recommendations/ann")
    assert ids(answer) == [one["item_id"] for one in published["items"]]


async def test_a_user_without_history_gets_what_is_trending(served: Served) -> None:
    await served.worker.interest.process([click("ann", "cup", 0), click("ben", "cup", 1)])
    await served.worker.interest.flush()
    status, answer = await served.get("/recommendations/nobody")
    assert (status, answer["basis"], ids(answer)) == (200, "trending", ["cup"])


async def test_k_bounds_the_answer(served: Served) -> None:
    await served.worker.interest.process([click("ann", "shoe", 0)])
    _, answer = await served.get("/recommendations/ann?k=1")
    assert len(ids(answer)) == 1


async def test_a_session_is_answered_like_a_user_with_the_same_events(served: Served) -> None:
    await served.worker.interest.process([click("ann", "shoe", 0)])
    _, user = await served.get("/recommendations/ann")
    status, session = await served.post({"items": [{"item_id": "shoe"}], "k": 3})
    assert (status, session["basis"]) == (200, "session")
    assert session["items"] == user["items"]


async def test_a_session_stores_nothing(served: Served) -> None:
    await served.post({"items": [{"item_id": "shoe"}]})
    assert served.worker.store.count_users(served.worker.names) == 0


async def test_excluded_items_are_left_out(served: Served) -> None:
    _, answer = await served.post({"items": [{"item_id": "shoe"}], "exclude": ["sock", "boot"]})
    assert sorted(ids(answer)) == ["cup", "lamp"]


async def test_unknown_items_of_a_session_are_named_and_the_others_count(served: Served) -> None:
    status, answer = await served.post({"items": [{"item_id": "shoe"}, {"item_id": "ghost"}]})
    assert (status, answer["unknown_items"]) == (200, ["ghost"])


BAD_BODIES = {
    "no JSON": (b"{", 400),
    "wrong UTF-8": (b'{"items": ["\xff"]}', 400),
    "a list": ([], 400),
    "no items": ({"items": []}, 400),
    "too many items": ({"items": [{"item_id": "shoe"}] * 101}, 400),
    "an unknown field": ({"items": [{"item_id": "shoe"}], "limit": 3}, 400),
    "k out of bounds": ({"items": [{"item_id": "shoe"}], "k": 0}, 400),
    "an unknown event type": ({"items": [{"item_id": "shoe", "event_type": "stare"}]}, 400),
    "only unknown items": ({"items": [{"item_id": "ghost"}]}, 422),
    "too large": (b"x" * 100_000, 413),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_session_is_refused_with_a_sentence(served: Served, name: str) -> None:
    body, expected = BAD_BODIES[name]
    status, answer = await served.post(body)
    assert (status, answer["error"]["status"]) == (expected, expected)
    assert "Traceback" not in answer["error"]["message"]
    assert len(answer["error"]["message"]) > 10


@pytest.mark.parametrize("query", ["k=0", "k=201", "k=many", "k=-1", "limit=3"])
async def test_a_bad_query_is_refused_with_a_sentence(served: Served, query: str) -> None:
    status, answer = await served.get(f"/recommendations/ann?{query}")
    assert status == 400
    assert "k" in answer["error"]["message"]


async def test_an_unknown_path_is_json_too(served: Served) -> None:
    status, answer = await served.get("/nothing")
    assert (status, answer["error"]["status"]) == (404, 404)


async def test_a_store_that_is_away_is_503(served: Served) -> None:
    served.worker.store.down = StoreUnavailable("away")
    status, answer = await served.get("/recommendations/ann")
    assert (status, answer["error"]["status"]) == (503, 503)


async def test_the_description_names_every_route(served: Served) -> None:
    status, answer = await served.get("/openapi.json")
    assert status == 200
    assert set(answer["paths"]) == {"/recommendations/{user_id}", "/recommendations"}
    assert "SessionRequest" in answer["components"]["schemas"]


async def test_many_at_once_are_answered(served: Served) -> None:
    await served.worker.interest.process([click("ann", "shoe", 0)])
    answers = await asyncio.gather(*(served.get("/recommendations/ann") for _ in range(20)))
    assert {status for status, _ in answers} == {200}
