"""The OpenAPI 3.1 description of the worker's HTTP interface; schemas come from the structs that decode."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import Struct

from streams.messages import Reason
from streams.profiles import ItemMap, UserProfile
from streams.rules import QUERY_FORM
from streams.sessions import SessionRequest


class AnsweredItem(Struct):
    """One recommended item, best first."""

    item_id: str
    score: float
    title: str | None
    reason: Reason


class RecommendationAnswer(Struct):
    """What a user or a session is recommended; ``basis`` is history, trending or session."""

    scenario: str
    basis: str
    events: int
    model_version: str
    items: list[AnsweredItem]
    user_id: str | None = None
    unknown_items: list[str] = []


class ErrorFacts(Struct):
    """What went wrong, in a sentence."""

    status: int
    message: str


class ErrorAnswer(Struct):
    """Every answer that is not 200."""

    error: ErrorFacts


USER_ID = {
    "name": "user_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "maxLength": 256},
}


def document() -> dict[str, Any]:
    """The description, as ``GET /openapi.json`` serves it."""
    _, schemas = msgspec.json.schema_components(
        [SessionRequest, RecommendationAnswer, UserProfile, ItemMap, ErrorAnswer],
        ref_template="#/components/schemas/{name}",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Freshet worker", "version": version("freshet")},
        "paths": {
            "/recommendations/{user_id}": {"get": _of_user()},
            "/recommendations": {"post": _of_session()},
            "/users/{user_id}": {"get": _profile()},
            "/map": {"get": _map()},
        },
        "components": {"schemas": schemas},
    }


def _of_user() -> dict[str, Any]:
    return {
        "summary": "What a user would be recommended now; one without history gets what is trending.",
        "parameters": [
            USER_ID,
            {"name": "k", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 200}},
            {
                "name": "scenario",
                "in": "query",
                "description": "A scenario of the configuration.",
                "schema": {"type": "string", "default": "home"},
            },
            {
                "name": "filter",
                "in": "query",
                "description": f"Rules that every item must pass; may be repeated. Forms: {QUERY_FORM}.",
                "schema": {"type": "array", "items": {"type": "string"}},
                "explode": True,
            },
        ],
        "responses": _answers(400, 502, 503),
    }


def _of_session() -> dict[str, Any]:
    return {
        "summary": "Recommendations for a list of recent items, oldest first; nothing is stored.",
        "requestBody": {"required": True, "content": _json("SessionRequest")},
        "responses": _answers(400, 413, 422, 502, 503),
    }


def _profile() -> dict[str, Any]:
    return {
        "summary": "A user's last events, interests in categories, and place on the map.",
        "parameters": [USER_ID],
        "responses": _answers(400, 502, 503, schema="UserProfile"),
    }


def _map() -> dict[str, Any]:
    return {
        "summary": "The available items, each drawn to the categories that it is like: to look at.",
        "responses": _answers(502, 503, schema="ItemMap"),
    }


def _answers(*errors: int, schema: str = "RecommendationAnswer") -> dict[str, Any]:
    good = {"200": {"description": "The answer.", "content": _json(schema)}}
    bad = {str(code): {"description": "Refused.", "content": _json("ErrorAnswer")} for code in errors}
    return good | bad


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
