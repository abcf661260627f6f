"""The worker's HTTP interface: recommendations for a user, or for a session without one; errors as JSON."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from encoders.errors import StoreError, StoreUnavailable
from streams.lookup import Answer, recommend
from streams.openapi import document
from streams.recommending import Rules
from streams.serving import Serving
from streams.sessions import SessionRequest, UnknownItems, recommend_session

log = logging.getLogger(__name__)

LARGEST_K = 200
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_session = msgspec.json.Decoder(SessionRequest)


class Refused(Exception):
    """A request that cannot be answered; becomes ``{"error": {"status", "message"}}``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class RecommendationApi:
    """``GET /recommendations/{user_id}``, ``POST /recommendations`` and ``GET /openapi.json``."""

    def __init__(self, serving: Serving, rules: Rules) -> None:
        self._serving = serving
        self._rules = rules

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/recommendations/{user_id}", self._of_user)
        app.router.add_post("/recommendations", self._of_session)
        app.router.add_get("/openapi.json", self._describe)

    async def _of_user(self, request: web.Request) -> web.Response:
        unknown = set(request.query) - {"k"}
        if unknown:
            raise Refused(400, f"unknown parameter {sorted(unknown)[0]!r}: there is only k")
        rules = replace(self._rules, k=_k(request.query.get("k"), self._rules.k))
        user_id = request.match_info["user_id"]
        if len(user_id) > 256:
            raise Refused(400, "a user_id has at most 256 characters")
        serving = self._serving
        answer = await serving.in_thread(recommend, serving.store, serving.names, user_id, rules)
        return web.json_response(answer_fields(answer, self._serving.model.version) | {"user_id": user_id})

    async def _of_session(self, request: web.Request) -> web.Response:
        try:
            body = _session.decode(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused(400, f"the body is not a session: {error}; see /openapi.json") from None
        try:
            answer, unknown = await self._serving.in_thread(recommend_session, self._serving, body)
        except UnknownItems as error:
            raise Refused(422, str(error)) from None
        return web.json_response(
            answer_fields(answer, self._serving.model.version) | {"unknown_items": unknown}
        )

    async def _describe(self, request: web.Request) -> web.Response:
        return web.json_response(document())


def answer_fields(answer: Answer, model_version: str) -> dict[str, Any]:
    """An answer as JSON shows it, less who asked."""
    items = [
        {"item_id": one.item_id, "score": one.score, "title": record.title if record else None}
        for one, record in zip(answer.items, answer.records, strict=True)
    ]
    return {
        "basis": answer.basis,
        "events": answer.events,
        "model_version": model_version,
        "items": items,
    }


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal and every fault is JSON with a sentence, never a stack trace."""
    try:
        return await handler(request)
    except Refused as error:
        return _error(error.status, str(error))
    except web.HTTPException as error:
        return _error(error.status, f"{error.reason}: {request.method} {request.path}")
    except StoreUnavailable:
        return _error(503, "the vector store does not answer; try again")
    except StoreError:
        log.exception("%s %s", request.method, request.path)
        return _error(502, "the vector store refused; the worker's log says why")
    except Exception:
        log.exception("%s %s", request.method, request.path)
        return _error(500, "a fault of the worker; its log says which")


def _k(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 4 or not 1 <= int(text) <= LARGEST_K:
        raise Refused(400, f"k must be a whole number from 1 to {LARGEST_K}")
    return int(text)


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"status": status, "message": message}}, status=status)
