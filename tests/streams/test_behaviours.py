"""Behaviour types beyond clicks and purchases: how they are read, and what they do to an interest."""

from __future__ import annotations

import json

import numpy as np
import pytest

from encoders.covisitation import CovisitationConfig
from encoders.events import EventType, Interaction
from streams.codec import Limits, Rejected, decode_interaction, encode_interaction
from streams.composition import covisitation_of
from streams.fold_types import Behaviours
from streams.settings import load_settings
from tests.fakes.kafka_messages import NOW_MS, click
from tests.fakes.wired_worker import WiredWorker


def decoded(**fields: object) -> Interaction | Rejected:
    message = {"event_id": "e", "user_id": "u", "item_id": "i", "timestamp": NOW_MS} | fields
    return decode_interaction(EventType.CLICK, b"u", json.dumps(message).encode(), NOW_MS, Limits())


@pytest.mark.parametrize("name", ["click", "cart", "dislike"])
def test_an_event_type_is_read_from_the_message(name: str) -> None:
    event = decoded(event_type=name)
    assert isinstance(event, Interaction)
    assert event.event_type is EventType[name.upper()]


def test_a_rating_is_read_with_its_value() -> None:
    event = decoded(event_type="rating", rating=4.5)
    assert isinstance(event, Interaction)
    assert (event.event_type, event.rating) == (EventType.RATING, 4.5)


@pytest.mark.parametrize("fields", [{"event_type": "rating"}, {"rating": 3}, {"event_type": "stare"}])
def test_half_a_rating_and_an_unknown_type_are_refused(fields: dict[str, object]) -> None:
    refused = decoded(**fields)
    assert isinstance(refused, Rejected)
    assert refused.reason == "schema"


@pytest.mark.parametrize("event_type", [EventType.CLICK, EventType.CART, EventType.DISLIKE])
def test_an_event_survives_being_sent_and_read(event_type: EventType) -> None:
    event = Interaction("u", "i", event_type, NOW_MS, event_id="e")
    _, key, value = encode_interaction(event)
    assert decode_interaction(EventType.CLICK, key, value, NOW_MS, Limits()) == event


@pytest.mark.parametrize(("rating", "strength"), [(5.0, 1.0), (3.0, 0.0), (1.0, -1.0)])
def test_a_rating_counts_by_its_distance_from_neutral(rating: float, strength: float) -> None:
    event = Interaction("u", "i", EventType.RATING, NOW_MS, rating=rating)
    assert Behaviours().strength(event) == strength


def test_what_each_kind_of_event_adds_to_the_evidence_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert covisitation_of(load_settings().evidence).type_weights == CovisitationConfig().type_weights
    for number, kind in enumerate(("CLICK", "PURCHASE", "CART", "RATING"), start=5):
        monkeypatch.setenv(f"FRESHET_EVIDENCE__{kind}_WEIGHT", str(number))
    config = covisitation_of(load_settings().evidence)
    assert [config.strength(kind) for kind in EventType] == [5.0, 6.0, 7.0, 0.0, 8.0]


async def interest_after(**fields: object) -> np.ndarray:
    worker = WiredWorker()
    try:
        await worker.stock("shoe", "lamp")
        await worker.interest.process([click("ann", "shoe", 0), click("ann", "lamp", 1, **fields)])
        record = worker.store.retrieve_users(worker.names, ["ann"])[0]
        assert record is not None
        return np.array([record.interest @ worker.replica.items["lamp"]])
    finally:
        worker.close()


async def test_a_dislike_pushes_the_interest_away_from_the_item() -> None:
    assert await interest_after(event_type="dislike") < await interest_after(event_type="click")
    assert await interest_after(event_type="dislike") < 0


async def test_a_cart_speaks_louder_than_a_click() -> None:
    assert await interest_after(event_type="cart") > await interest_after(event_type="click")


async def test_a_disliked_item_is_not_recommended() -> None:
    worker = WiredWorker()
    await worker.stock("shoe", "lamp", "cup")
    await worker.interest.process([click("ann", "shoe", 0), click("ann", "lamp", 1, event_type="dislike")])
    assert "lamp" not in [one["item_id"] for one in worker.recommendations()[-1]["items"]]
    worker.close()
