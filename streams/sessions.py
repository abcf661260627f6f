"""Recommendations for a session without a user: a list of recent items in, an answer out, nothing stored."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from encoders.events import EventType
from streams.lookup import Answer, answer
from streams.messages import Id
from streams.recommending import choose
from streams.serving import Serving

MAX_ITEMS = 100
EVENT_TYPES = {"click": EventType.CLICK, "purchase": EventType.PURCHASE}
EventName = Annotated[str, Meta(pattern="^(" + "|".join(EVENT_TYPES) + ")$", description="click or purchase")]


class SessionItem(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing the visitor did, oldest first in the list; ``seconds_ago`` before now."""

    item_id: Id
    event_type: EventName = "click"
    seconds_ago: Annotated[float, Meta(ge=0, le=1e9)] = 0.0


class SessionRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /recommendations``."""

    items: Annotated[list[SessionItem], Meta(min_length=1, max_length=MAX_ITEMS)]
    k: Annotated[int, Meta(ge=1, le=200)] = 20
    exclude: Annotated[list[Id], Meta(max_length=1_000)] = []


class UnknownItems(Exception):
    """None of the items is in the catalogue."""


def recommend_session(serving: Serving, request: SessionRequest) -> tuple[Answer, list[str]]:
    """Nearest items for a session, minus its own and the excluded ones; and the items nobody knows. Blocks.

    Raises ``UnknownItems``, ``StoreUnavailable`` or ``StoreError``.
    """
    serving.replica.ensure(one.item_id for one in request.items)
    vectors = serving.replica.vectors
    known = [one for one in request.items if one.item_id in vectors]
    unknown = sorted({one.item_id for one in request.items} - {one.item_id for one in known})
    if not known:
        raise UnknownItems(f"none of these items is in the catalogue: {', '.join(unknown[:5])}")
    ages = np.array([one.seconds_ago for one in known], np.float32)
    gaps = np.concatenate([[0.0], ages[:-1] - ages[1:]]).astype(np.float32)
    _, interest = serving.model.prefill(
        np.stack([vectors[one.item_id] for one in known])[None],
        np.array([[EVENT_TYPES[one.event_type] for one in known]], np.int64),
        gaps[None],
        np.array([len(known)], np.int64),
    )
    hidden = {one.item_id for one in known} | set(request.exclude)
    found = serving.store.nearest_items(serving.names, interest, [request.k + len(hidden)])[0]
    chosen = choose(found, hidden, request.k)
    return answer(serving.store, serving.names, "session", len(known), chosen), unknown
