"""The page's server over real sockets: what it answers, whom it refuses, and that a stream ends in time."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from encoders.errors import BrokerUnavailable
from streams.avro import AvroReader, AvroWriter
from streams.avro_schema import avro_schema
from streams.messages import Recommendation
from streams.ui import hub
from streams.ui.server import MAX_BODY_BYTES, PAGES
from tests.fakes.playground import Served

GOOD = {"user_id": "ann", "item_id": "pot", "action": "click"}


async def next_event(answer: aiohttp.ClientResponse, name: str) -> dict[str, Any]:
    """The next server-sent event of this name."""
    found = ""
    while True:
        line = (await asyncio.wait_for(answer.content.readline(), 10)).decode()
        assert line, "the stream has ended"
        if line.startswith("event: "):
            found = line.removeprefix("event: ").strip()
        elif line.startswith("data: ") and found == name:
            data: dict[str, Any] = json.loads(line.removeprefix("data: "))
            return data


@pytest.mark.parametrize("path", PAGES)
async def test_every_part_of_the_page_is_served_and_may_load_only_from_here(
    served: Served, path: str
) -> None:
    async with served.session.get(f"{served.url}/{path}") as answer:
        assert answer.status == 200
        assert await answer.text()
        assert "default-src 'none'; script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/server.py", "/static/app.js", "/..%2Fserver.py", "/api/none"])
async def test_nothing_else_is_served(served: Served, path: str) -> None:
    status, answer = await served.get(path)
    assert (status, answer["error"]["status"]) == (404, 404)


async def test_a_shopper_has_list_history_and_interests_in_words(served: Served) -> None:
    _, answer = await served.get("/api/shoppers/ann")
    assert answer["list"]["items"][0]["title"] == "Tea pot"
    assert answer["list"]["items"][0]["why"] == "similar to Tent"
    assert (answer["history"][0]["title"], answer["history"][0]["did"]) == ("Tent", "bought")
    assert answer["summary"] == "Almost only Camping."


async def test_any_id_reaches_the_worker_as_it_is(served: Served) -> None:
    await served.get("/api/shoppers/a%2Fb%3Fc%23%25%20%C3%A9")
    assert served.worker.asked == ["a/b?c#% é"]


async def test_the_map_has_titles(served: Served) -> None:
    _, answer = await served.get("/api/map")
    assert answer["items"][0]["title"] == "Tea pot"


async def test_items_are_found_by_their_words(served: Served) -> None:
    _, answer = await served.get("/api/items?q=tea")
    assert [one["item_id"] for one in answer["items"]] == ["pot"]


@pytest.mark.parametrize("action", ["click", "purchase", "dislike"])
async def test_an_event_is_sent_with_the_price_of_its_item(served: Served, action: str) -> None:
    assert await served.post(GOOD | {"action": action}) == (202, {"event_id": "event-1"})
    assert served.sender.sent == [("ann", "pot", action, 19.5)]


BAD_BODIES = {
    "nothing": (b"", 400),
    "no JSON": (b"{", 400),
    "no object": (b"[]", 400),
    "not UTF-8": (b'{"user_id": "\xff"}', 400),
    "deep": (b"[" * 4_000, 400),
    "a missing field": ({"user_id": "ann", "item_id": "pot"}, 400),
    "an unknown field": (GOOD | {"price": 1}, 400),
    "another action": (GOOD | {"action": "steal"}, 400),
    "an empty id": (GOOD | {"user_id": ""}, 400),
    "a long id": (GOOD | {"user_id": "a" * 257}, 400),
    "an unknown item": (GOOD | {"item_id": "ghost"}, 404),
    "too much": (b" " * (MAX_BODY_BYTES + 1), 413),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_refused_with_a_sentence_and_sends_nothing(served: Served, name: str) -> None:
    body, expected = BAD_BODIES[name]
    status, answer = await served.post(body)
    assert (status, answer["error"]["status"]) == (expected, expected)
    assert len(answer["error"]["message"]) > 10
    assert "Traceback" not in answer["error"]["message"]
    assert served.sender.sent == []


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
async def test_only_the_page_itself_may_send(served: Served, headers: dict[str, str], expected: int) -> None:
    status, _ = await served.post(GOOD, **headers)
    assert (status, served.sender.sent) == (expected, [])


async def test_another_name_for_this_machine_is_refused(served: Served) -> None:
    """A site may point its own name at 127.0.0.1: its pages would be of the same origin."""
    status, _ = await served.post(GOOD, Host="evil.example", Origin="http://evil.example")
    assert (status, served.sender.sent) == (403, [])


@pytest.mark.parametrize("path", ["/api/shoppers/" + "a" * 257, "/api/items?q=" + "a" * 201])
async def test_long_questions_are_refused(served: Served, path: str) -> None:
    assert (await served.get(path))[0] == 400


async def test_a_broker_that_is_away_is_503_with_what_to_do(served: Served) -> None:
    served.sender.fault = BrokerUnavailable("no Kafka broker answers: start one")
    status, answer = await served.post(GOOD)
    assert (status, answer["error"]["message"]) == (503, "no Kafka broker answers: start one")


async def test_a_worker_that_is_away_is_503_with_what_to_do(served: Served) -> None:
    await served.stop_worker()
    status, answer = await served.get("/api/shoppers/ann")
    assert status == 503
    assert "freshet worker" in answer["error"]["message"]


async def test_a_list_in_avro_is_told_as_well(served: Served) -> None:
    schema = avro_schema(Recommendation)
    served.playground._avro = AvroReader(lambda _: json.dumps(schema))
    async with served.session.get(f"{served.url}/api/stream/ann") as answer:
        await next_event(answer, "status")
        served.publish("ann", "in Avro", write=AvroWriter(schema, 7).write)
        assert (await next_event(answer, "list"))["event_id"] == "in Avro"


async def test_a_stream_tells_of_the_lists_of_its_shopper_alone(served: Served) -> None:
    async with served.session.get(f"{served.url}/api/stream/ann") as answer:
        await next_event(answer, "status")
        served.publish("ben", "not mine")
        served.publish("ann", "another scenario", scenario="similar")
        served.publish("ann", "mine")
        data = await next_event(answer, "list")
    assert data["event_id"] == "mine"
    assert data["items"][0]["title"] == "Tent"
    assert data["items"][0]["why"] == "trending now"


async def test_open_streams_do_not_hold_the_end_up(served: Served) -> None:
    async with served.session.get(f"{served.url}/api/stream/ann") as answer:
        await next_event(answer, "status")
        began = time.monotonic()
        served.playground.hub.close()
        while await asyncio.wait_for(answer.content.readline(), 5):
            pass
    assert time.monotonic() - began < hub.HEARTBEAT_SECONDS


async def test_too_many_pages_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "MOST_PAGES", 0)
    status, answer = await served.get("/api/stream/ann")
    assert (status, "close one" in answer["error"]["message"]) == (503, True)


async def test_the_status_says_what_is_missing(served: Served) -> None:
    """No broker, and a worker at work: both as they are."""
    async with served.session.get(f"{served.url}/api/stream/ann") as stream:
        while (status := await next_event(stream, "status"))["broker"]["state"] != "down":
            pass
    assert "freshet broker --kafka" in status["broker"]["fault"]
    assert status["worker"]["state"] == "ready"


async def test_without_worker_and_model_the_hint_is_how_to_make_one(served: Served) -> None:
    await served.stop_worker()
    async with served.session.get(f"{served.url}/api/stream/ann") as stream:
        while not (status := await next_event(stream, "status"))["hint"]:
            pass
    assert "freshet model init" in status["hint"]


async def test_whoever_clicks_is_among_the_visitors(served: Served) -> None:
    served.playground.take("clicks", b"ann", b"{}")
    async with served.session.get(f"{served.url}/api/stream/ann") as stream:
        while not (status := await next_event(stream, "status"))["visitors"]:
            pass
    assert status["visitors"] == [{"user_id": "ann", "events": 1}]


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b"[]"])
async def test_what_cannot_be_read_on_the_topics_is_passed_over(served: Served, value: bytes | None) -> None:
    for topic in ("items", "clicks", "recommendations"):
        served.playground.take(topic, b"ann", value)
        served.playground.take(topic, None, value)
        served.playground.take(topic, b"\xff", value)
    await asyncio.sleep(0)
    assert (await served.get("/api/items?q=tea"))[0] == 200
