"""A dead letter: the received bytes unchanged, and headers that a consumer can read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codec import Rejected
from streams.dead_letters import MAX_ERROR_BYTES, dead_letter
from streams.fold_types import DeadLetter
from streams.messages import DEAD_LETTER_HEADERS
from tests.fakes.kafka_messages import message


def headers(error: str = "why") -> dict[str, bytes]:
    letter = DeadLetter(message("clicks", b"u", b"{", 17, 3), Rejected("malformed_json", error))
    return dict(dead_letter(letter).headers)


@given(st.none() | st.binary(), st.none() | st.binary())
def test_key_and_value_are_the_received_bytes(key: bytes | None, value: bytes | None) -> None:
    made = dead_letter(DeadLetter(message("clicks", key, value), Rejected("schema", "why")))
    assert (made.topic, made.key, made.value) == ("dead-letters", key, value)


def test_headers_are_those_that_are_published() -> None:
    assert tuple(headers()) == DEAD_LETTER_HEADERS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("topic", b"clicks"),
        ("partition", b"3"),
        ("offset", b"17"),
        ("reason", b"malformed_json"),
        ("error", b"why"),
        ("schema_version", b"1"),
    ],
)
def test_header_says_where_from_and_why(name: str, value: bytes) -> None:
    assert headers()[name] == value


def test_headers_come_as_received_and_ours_after_them() -> None:
    received = replace(
        message("clicks", b"u", b"{"), headers=(("ce_id", b"e1"), ("topic", b"x"), ("n", None))
    )
    made = dead_letter(DeadLetter(received, Rejected("cloudevent", "why")))
    assert tuple(made.headers[:3]) == received.headers
    assert dict(made.headers)["topic"] == b"clicks"


@given(st.text(st.characters(), max_size=5), st.integers(0, 2_000))
def test_error_is_bounded_and_always_utf8(text: str, repeat: int) -> None:
    error = headers(text * repeat)["error"]
    assert len(error) <= MAX_ERROR_BYTES
    assert isinstance(error.decode(), str)
