"""The HTTP interface over real sockets, on a worker of fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import jsonschema
import pytest
from yarl import URL

from encoders.errors import StoreError, StoreUnavailable
from exporters.vector_store import ItemFilter
from streams.api import RecommendationApi
from streams.http_server import HttpServer, bind
from streams.openapi import document
from streams.recommender import Stages
from streams.scenarios import Scenario
from streams.settings import HttpSettings
from tests.fakes.kafka_messages import click, item, purchase
from tests.fakes.wired_worker import NEAREST, WiredWorker

ITEMS = ("lamp", "shoe", "sock", "boot", "cup")
PRICES = dict(zip(ITEMS, (30, 80, 5, 120, 8), strict=True))
WORN = {"shoe", "sock", "boot"}
SCENARIOS = {
    "home": Scenario(k=3),
    "similar": Scenario("similar", 4, "last", ("interest", "covisited")),
    "cheap": Scenario("cheap", 4, filter=ItemFilter(max_price=50.0)),
    "trending": Scenario("trending", 4, sources=("trending",)),
}


class Served:
    """A wired worker behind its port."""

    def __init__(self, stages: Stages) -> None:
        self.worker = WiredWorker(stages=stages)
        listener = bind(HttpSettings(port=0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        api = RecommendationApi(self.worker.serving, SCENARIOS)
        self.server = HttpServer(listener, self.worker.metrics, list, api)

    async def get(self, path: str) -> tuple[int, Any]:
        url = URL(self.url + path, encoded=True)
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.json()

    async def post(self, body: Any) -> tuple[int, Any]:
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + "/recommendations", **sent) as answer,
        ):
            return answer.status, await answer.json()


@pytest.fixture(params=["nearest", "two stages"])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    made = Served(NEAREST if request.param == "nearest" else Stages())
    await made.server.start()
    stock = [
        item(one, n, price=PRICES[one], categories=["Wear" if one in WORN else "Home"], brand=one[0].upper())
        for n, one in enumerate(ITEMS)
    ]
    await made.worker.catalog.process(stock)
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


@pytest.mark.parametrize("kind", ["cart", "dislike"])
async def test_a_session_counts_each_kind_of_event_as_strongly_as_a_users_history(
    served: Served, kind: str
) -> None:
    await served.worker.interest.process([click("ann", "shoe", 0), click("ann", "lamp", 1, event_type=kind)])
    _, user = await served.get("/recommendations/ann")
    did = [{"item_id": "shoe", "seconds_ago": 1}, {"item_id": "lamp", "event_type": kind}]
    _, session = await served.post({"items": did})
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


async def both_ways(
    served: Served, scenario: str | None = None, k: int | None = None, **filters: Any
) -> list[dict[str, Any]]:
    """The answers to GET and POST for somebody who clicked a shoe; ``query`` and ``rules`` say the same."""
    await served.worker.interest.process([click("ann", "shoe", 0)])
    named = {} if scenario is None else {"scenario": scenario}
    counted = {} if k is None else {"k": k}
    pairs = [*(named | counted).items(), *(("filter", one) for one in filters.get("query", []))]
    got = await served.get(f"/recommendations/ann?{urlencode(pairs)}")
    body = {"items": [{"item_id": "shoe"}], "filters": filters.get("rules", [])} | named | counted
    posted = await served.post(body)
    assert (got[0], posted[0]) == (200, 200)
    return [got[1], posted[1]]


@pytest.mark.parametrize(
    ("scenario", "expected"), [(None, "home"), ("similar", "similar"), ("cheap", "cheap")]
)
async def test_a_scenario_is_asked_for_by_its_name(
    served: Served, scenario: str | None, expected: str
) -> None:
    for answer in await both_ways(served, scenario):
        assert answer["scenario"] == expected


async def test_a_scenario_brings_its_own_rules_and_number(served: Served) -> None:
    for answer in await both_ways(served, "cheap"):
        assert sorted(ids(answer)) == ["cup", "lamp", "sock"]
    for answer in await both_ways(served, "similar"):
        assert len(ids(answer)) == 4


@pytest.mark.parametrize("k", [1, 2, 200])
async def test_k_beats_the_scenarios_number_both_ways(served: Served, k: int) -> None:
    for answer in await both_ways(served, k=k):
        assert len(ids(answer)) == min(k, 4)


FILTERS = {
    "price": (["price<=30", "price>=8"], [{"field": "price", "min": 8, "max": 30}], {"lamp", "cup"}),
    "category": (["category=Wear"], [{"field": "category", "any_of": ["Wear"]}], {"sock", "boot"}),
    "not brand": (["brand!=B", "brand!=C"], [{"field": "brand", "none_of": ["B", "C"]}], {"lamp", "sock"}),
    "age": (["age_days<=1"], [{"field": "age_days", "max": 1}], {"lamp", "sock", "boot", "cup"}),
    "nothing passes": (["price>=500"], [{"field": "price", "min": 500}], set()),
}


@pytest.mark.parametrize("name", FILTERS)
async def test_rules_of_a_request_hold_both_ways(served: Served, name: str) -> None:
    query, rules, expected = FILTERS[name]
    for answer in await both_ways(served, k=10, query=query, rules=rules):
        assert set(ids(answer)) == expected


async def test_rules_of_a_request_come_on_top_of_those_of_the_scenario(served: Served) -> None:
    rules = [{"field": "price", "min": 8, "max": 1_000}]
    for answer in await both_ways(served, "cheap", query=["price>=8", "price<=1000"], rules=rules):
        assert set(ids(answer)) == {"lamp", "cup"}


async def test_what_trends_can_be_asked_for_by_name(served: Served) -> None:
    await served.worker.interest.process([click("ben", "cup", 5), purchase("ben", "boot", 6)])
    await served.worker.interest.flush()
    for answer in await both_ways(served, "trending"):
        assert ids(answer) == ["boot", "cup"]
        assert {one["reason"]["kind"] for one in answer["items"]} == {"trending"}


async def test_a_user_id_may_hold_what_a_path_does_not(served: Served) -> None:
    await served.worker.interest.process([click("a/b ?ж", "shoe", 0)])
    _, answer = await served.get("/recommendations/" + quote("a/b ?ж", safe=""))
    assert (answer["user_id"], answer["basis"]) == ("a/b ?ж", "history")


SHOE = {"items": [{"item_id": "shoe"}]}
BAD_BODIES = {
    "nothing": (b"", 400, "/openapi.json"),
    "no JSON": (b"{", 400, "/openapi.json"),
    "wrong UTF-8": (b'{"items": ["\xff"]}', 400, "body"),
    "a list": ([], 400, "object"),
    "no items at all": ({}, 400, "items"),
    "no items": ({"items": []}, 400, "items"),
    "too many items": ({"items": [{"item_id": "shoe"}] * 101}, 400, "items"),
    "an item without an id": ({"items": [{}]}, 400, "item_id"),
    "an unknown field": (SHOE | {"limit": 3}, 400, "limit"),
    "k below its bounds": (SHOE | {"k": 0}, 400, "$.k"),
    "k above its bounds": (SHOE | {"k": 201}, 400, "$.k"),
    "k that is no number": (SHOE | {"k": "many"}, 400, "$.k"),
    "an unknown event type": ({"items": [{"item_id": "shoe", "event_type": "stare"}]}, 400, "stare"),
    "a time to come": ({"items": [{"item_id": "shoe", "seconds_ago": -1}]}, 400, "seconds_ago"),
    "an unknown scenario": (SHOE | {"scenario": "away"}, 400, "home, similar, cheap, trending"),
    "a rule on no field": (SHOE | {"filters": [{"field": "colour"}]}, 400, "price (min, max), category"),
    "a rule that says nothing": (SHOE | {"filters": [{"field": "price"}]}, 400, "asks for nothing"),
    "a rule that does not fit": (SHOE | {"filters": [{"field": "brand", "max": 3}]}, 400, "brand has no max"),
    "an empty rule": (SHOE | {"filters": [{"field": "brand", "any_of": []}]}, 400, "empty"),
    "a range upside down": (SHOE | {"filters": [{"field": "price", "min": 3, "max": 1}]}, 400, "above max"),
    "only unknown items": ({"items": [{"item_id": "ghost"}]}, 422, "ghost"),
    "too large": (b"x" * 100_000, 413, "65536"),
}
BAD_QUERIES = {
    "k=0": "from 1 to 200",
    "k=201": "from 1 to 200",
    "k=many": "from 1 to 200",
    "k=-1": "from 1 to 200",
    "k=": "from 1 to 200",
    "limit=3": "k, scenario, filter",
    "scenario=away": "home, similar, cheap, trending",
    "scenario=": "home, similar, cheap, trending",
    "filter=colour%3Dred": "price<=20",
    "filter=price": "price<=20",
    "filter=price%3C%3Dcheap": "number",
    "filter=price%3C%3Dnan": "price (min, max)",
    "filter=price%3E%3D9&filter=price%3C%3D1": "above max",
    "filter=price%3C%3D9&filter=price%3C%3D1": "once",
    "&".join(["filter=brand%3DA"] * 33): "at most 32",
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_session_is_refused_with_a_sentence(served: Served, name: str) -> None:
    body, expected, hint = BAD_BODIES[name]
    status, answer = await served.post(body)
    assert status == expected
    assert_helpful(status, answer, hint)


@pytest.mark.parametrize("query", BAD_QUERIES)
async def test_a_bad_query_is_refused_with_a_sentence(served: Served, query: str) -> None:
    status, answer = await served.get(f"/recommendations/ann?{query}")
    assert status == 400
    assert_helpful(status, answer, BAD_QUERIES[query])


async def test_a_body_that_is_not_encoded_as_it_says_is_refused(served: Served) -> None:
    url, headers = served.url + "/recommendations", {"Content-Encoding": "gzip"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=b"no gzip", headers=headers) as answer,
    ):
        assert answer.status == 400
        assert_helpful(400, await answer.json(), "Content-Encoding")


async def test_an_endless_user_id_is_refused(served: Served) -> None:
    assert_helpful(*await served.get("/recommendations/" + "a" * 257), "256")


@pytest.mark.parametrize("path", ["/nothing", "/recommendations/", "/recommendations/a/b"])
async def test_an_unknown_path_is_json_too(served: Served, path: str) -> None:
    status, answer = await served.get(path)
    assert status == 404
    assert_helpful(status, answer, "/openapi.json")


async def test_another_method_is_json_too(served: Served) -> None:
    status, answer = await served.get("/recommendations")
    assert status == 405
    assert_helpful(status, answer, "/openapi.json")


def assert_helpful(status: int, answer: Any, hint: str) -> None:
    """``{"error": {...}}`` and nothing else, as described, with a sentence that says ``hint``."""
    jsonschema.validate(answer, schema("ErrorAnswer"))
    assert set(answer) == {"error"}
    assert answer["error"]["status"] == status
    message = answer["error"]["message"]
    assert hint in message
    assert "Traceback" not in message
    assert "\n" not in message
    assert len(message) > 10


def schema(name: str) -> dict[str, Any]:
    """A schema of the description, with what it refers to; what it does not name is not allowed."""
    schemas = document()["components"]["schemas"]
    closed = {one: {"additionalProperties": False} | of for one, of in schemas.items()}
    return {"$ref": f"#/components/schemas/{name}", "components": {"schemas": closed}}


async def test_a_store_that_is_away_is_503(served: Served) -> None:
    served.worker.store.down = StoreUnavailable("away")
    status, answer = await served.get("/recommendations/ann")
    assert (status, answer["error"]["status"]) == (503, 503)


async def test_a_store_that_refuses_is_502(served: Served) -> None:
    served.worker.store.down = StoreError("damaged")
    status, answer = await served.get("/recommendations/ann")
    assert status == 502
    assert_helpful(status, answer, "log")


async def test_a_fault_is_500_without_its_details(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(served.worker.serving.recommender, "recommend", broken)
    status, answer = await served.get("/recommendations/ann")
    assert status == 500
    assert_helpful(status, answer, "log")
    assert "secret" not in str(answer)


async def test_answers_are_as_described(served: Served) -> None:
    described = jsonschema.Draft202012Validator(schema("RecommendationAnswer"))
    for answer in await both_ways(served, "similar"):
        described.validate(answer)
        assert answer["items"]
    for path in ("nobody", "ann?scenario=trending", "ann?filter=price%3E%3D500"):
        described.validate((await served.get(f"/recommendations/{path}"))[1])


@pytest.mark.parametrize(
    "name", [name for name, (body, _, _) in BAD_BODIES.items() if isinstance(body, dict)]
)
async def test_what_is_refused_for_its_form_is_not_as_described(served: Served, name: str) -> None:
    body, _, _ = BAD_BODIES[name]
    valid = jsonschema.Draft202012Validator(schema("SessionRequest")).is_valid(body)
    assert valid is (name in BEYOND_A_SCHEMA)


BEYOND_A_SCHEMA = {
    "an unknown scenario",
    "a rule that says nothing",
    "a rule that does not fit",
    "an empty rule",
    "a range upside down",
    "only unknown items",
}


async def test_the_description_names_every_route(served: Served) -> None:
    status, answer = await served.get("/openapi.json")
    assert status == 200
    assert set(answer["paths"]) == {
        "/recommendations/{user_id}",
        "/recommendations",
        "/users/{user_id}",
        "/map",
    }
    assert "SessionRequest" in answer["components"]["schemas"]


async def test_a_profile_is_what_the_user_did_the_newest_first(served: Served) -> None:
    await served.worker.interest.process([click("ann", "shoe", 0), purchase("ann", "cup", 0, partition=1)])
    status, answer = await served.get("/users/ann")
    jsonschema.validate(answer, schema("UserProfile"))
    did = [(one["item_id"], one["event_type"]) for one in answer["history"]]
    assert (status, answer["events"]) == (200, 2)
    assert sorted(did) == [("cup", "purchase"), ("shoe", "click")]
    assert sorted(one["categories"][0] for one in answer["interests"]) == ["Home", "Wear"]


async def test_the_profile_of_a_stranger_is_empty_and_nowhere_on_the_map(served: Served) -> None:
    status, answer = await served.get("/users/nobody")
    assert (status, answer["history"], answer["interests"], answer["position"]) == (200, [], [], None)


async def test_a_profile_asks_for_no_more_than_an_id_may_have(served: Served) -> None:
    status, answer = await served.get("/users/" + "a" * 257)
    assert status == 400
    assert_helpful(status, answer, "256")


async def test_the_map_shows_the_items_and_places_a_user_with_one_click_on_its_item(served: Served) -> None:
    await served.worker.interest.process([click("ann", "shoe", 0)])
    _, profile = await served.get("/users/ann")
    status, answer = await served.get("/map")
    jsonschema.validate(answer, schema("ItemMap"))
    places = {one["item_id"]: (one["x"], one["y"]) for one in answer["items"]}
    assert (status, set(places), answer["total"]) == (200, set(ITEMS), len(ITEMS))
    assert answer["layout"] == profile["layout"]
    assert tuple(profile["position"]) == pytest.approx(places["shoe"], abs=1e-5)


async def test_the_map_of_no_items_is_empty() -> None:
    served = Served(NEAREST)
    await served.server.start()
    status, answer = await served.get("/map")
    await served.server.stop()
    served.worker.close()
    assert (status, answer["items"]) == (200, [])


async def test_many_at_once_are_answered(served: Served) -> None:
    await served.worker.interest.process([click("ann", "shoe", 0)])
    answers = await asyncio.gather(*(served.get("/recommendations/ann") for _ in range(20)))
    assert {status for status, _ in answers} == {200}
