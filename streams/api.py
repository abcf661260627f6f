"""The worker's HTTP interface: recommendations, what is known of a user, the items' map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from streams.fold_types import Behaviours
from streams.http_errors import Refused
from streams.item_map import LayoutCache
from streams.lookup import Answer, recommend
from streams.openapi import document
from streams.profiles import item_map, profile
from streams.rules import FIELDS, parse_filters, rules_of
from streams.scenarios import Scenario, narrowed
from streams.serving import Serving
from streams.sessions import SessionRequest, UnknownItems, recommend_session

LARGEST_K = 200
USUAL = Behaviours()
PARAMETERS = ("k", "scenario", "filter")
_session = msgspec.json.Decoder(SessionRequest)


class RecommendationApi:
    """The routes of ``openapi.document``, and ``GET /openapi.json``."""

    def __init__(
        self, serving: Serving, scenarios: Mapping[str, Scenario], behaviours: Behaviours = USUAL
    ) -> None:
        """``behaviours``: how strongly each event of a session counts."""
        self._serving = serving
        self._scenarios = scenarios
        self._behaviours = behaviours
        self._layouts = LayoutCache()

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/recommendations/{user_id}", self._of_user)
        app.router.add_post("/recommendations", self._of_session)
        app.router.add_get("/users/{user_id}", self._profile)
        app.router.add_get("/map", self._map)
        app.router.add_get("/openapi.json", self._describe)

    async def _of_user(self, request: web.Request) -> web.Response:
        unknown = set(request.query) - set(PARAMETERS)
        if unknown:
            raise Refused(400, f"unknown parameter {sorted(unknown)[0]!r}: there are {', '.join(PARAMETERS)}")
        k = _k(request.query.get("k"))
        scenario = self._scenario(request.query.get("scenario", "home"), k)
        scenario = narrowed(scenario, parse_filters(request.query.getall("filter", [])))
        user_id = _user_id(request)
        serving, generation = self._serving, self._serving.generation_for(user_id)
        answer = await serving.in_thread(
            recommend, serving.store, generation, user_id, scenario, serving.elsewhere_of(generation)
        )
        return web.json_response(answer_fields(answer, scenario, generation.version) | {"user_id": user_id})

    async def _of_session(self, request: web.Request) -> web.Response:
        try:
            body = _session.decode(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            hint = FIELDS if "`$.filters" in str(error) else "see /openapi.json"
            raise Refused(400, f"the body is not a session: {error}; {hint}") from None
        scenario = narrowed(self._scenario(body.scenario, body.k), rules_of(body.filters))
        try:
            serving, generation = self._serving, self._serving.generation
            now_ms = serving.clock_ms()
            answer, unknown = await serving.in_thread(
                recommend_session, serving.store, generation, body, scenario, self._behaviours, now_ms
            )
        except UnknownItems as error:
            raise Refused(422, str(error)) from None
        return web.json_response(
            answer_fields(answer, scenario, generation.version) | {"unknown_items": unknown}
        )

    async def _profile(self, request: web.Request) -> web.Response:
        user_id, serving = _user_id(request), self._serving
        generation = serving.generation_for(user_id)
        found = await serving.in_thread(
            profile, serving.store, generation, user_id, serving.elsewhere_of(generation), self._layouts
        )
        return web.json_response(msgspec.to_builtins(found))

    async def _map(self, request: web.Request) -> web.Response:
        serving = self._serving
        found = await serving.in_thread(item_map, serving.generation, self._layouts)
        return web.json_response(msgspec.to_builtins(found))

    def _scenario(self, name: str, k: int | None) -> Scenario:
        """The scenario of this name, with another number of items where one is asked for."""
        scenario = self._scenarios.get(name)
        if scenario is None:
            raise Refused(400, f"there is no scenario {name!r}: there are {', '.join(self._scenarios)}")
        return scenario if k is None else replace(scenario, k=k)

    async def _describe(self, request: web.Request) -> web.Response:
        return web.json_response(document())


def answer_fields(answer: Answer, scenario: Scenario, model_version: str) -> dict[str, Any]:
    """An answer as JSON shows it, less who asked."""
    items = [
        {
            "item_id": one.item_id,
            "score": one.score,
            "title": record.title if record else None,
            "reason": msgspec.to_builtins(one.reason),
        }
        for one, record in zip(answer.items, answer.records, strict=True)
    ]
    return {
        "scenario": scenario.name,
        "basis": answer.basis,
        "events": answer.events,
        "model_version": model_version,
        "items": items,
    }


def _user_id(request: web.Request) -> str:
    user_id = request.match_info["user_id"]
    if len(user_id) > 256:
        raise Refused(400, "a user_id has at most 256 characters")
    return user_id


def _k(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 4 or not 1 <= int(text) <= LARGEST_K:
        raise Refused(400, f"k must be a whole number from 1 to {LARGEST_K}")
    return int(text)
