"""What the simulated shop sends: readable where it should be, refused where it should be."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from encoders.events import EventType, Interaction
from streams.codec import Limits, Rejected, decode_interaction
from streams.demo.catalogue import make_catalogue
from streams.demo.feed import SHARES, UNKNOWN_ITEM, Kind, Message, messages
from streams.demo.shoppers import Shop

ITEMS = make_catalogue(300)
FAR_FUTURE_MS = 4_000_000_000_000
TYPES = {"clicks": EventType.CLICK, "purchases": EventType.PURCHASE}


def feed(count: int, seed: int = 0) -> list[Message]:
    return list(islice(messages(Shop(0, ITEMS, 50).events(), seed), count))


def decoded(message: Message) -> Interaction | Rejected:
    return decode_interaction(TYPES[message.topic], message.key, message.value, FAR_FUTURE_MS, Limits())


def test_an_event_comes_back_as_it_was() -> None:
    for message in feed(300):
        if message.kind is Kind.EVENT:
            assert decoded(message) == message.event


def test_no_event_of_the_shop_is_left_out() -> None:
    sent = [message.event for message in feed(2_000) if message.kind is Kind.EVENT]

    assert sent == list(islice(Shop(0, ITEMS, 50).events(), len(sent)))


def test_same_seed_gives_the_same_feed() -> None:
    assert feed(1_000, seed=2) == feed(1_000, seed=2)


@pytest.mark.parametrize("kind", SHARES)
def test_bad_messages_come_about_as_often_as_their_share(kind: Kind) -> None:
    count = Counter(message.kind for message in feed(20_000))[kind]
    expected = SHARES[kind] * 20_000

    assert abs(count - expected) < 5 * expected**0.5


def test_a_repeated_message_is_the_one_before_it() -> None:
    sent = feed(5_000)
    repeats = [n for n, message in enumerate(sent) if message.kind is Kind.REPEATED]

    assert repeats
    for n in repeats:
        assert (sent[n].topic, sent[n].key, sent[n].value) == (
            sent[n - 1].topic,
            sent[n - 1].key,
            sent[n - 1].value,
        )


def test_a_message_that_was_cut_off_is_refused() -> None:
    refused = [decoded(message) for message in feed(5_000) if message.kind is Kind.CUT_OFF]

    assert refused
    assert all(isinstance(one, Rejected) and one.reason == "malformed_json" for one in refused)


def test_an_unknown_item_is_readable_under_an_id_of_its_own() -> None:
    sent = feed(5_000)
    unknown = [message for message in sent if message.kind is Kind.UNKNOWN]
    ids = {message.event.event_id for message in sent if message.kind is Kind.EVENT}

    assert unknown
    for message in unknown:
        assert decoded(message) == message.event
        assert message.event.item_id == UNKNOWN_ITEM
        assert message.event.event_id not in ids
