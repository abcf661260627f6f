"""What is packed comes back, bounded in size; what is damaged says so in one line."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import StoreError
from streams.fold_types import Bounds
from streams.state import FORMAT, Applied, History, LastEvent, UserState, Waiting, event_hash, pack, unpack

MS = st.integers(0, 2**53)
COUNT = st.integers(0, 2**40)
ITEM_ID = st.text(min_size=1, max_size=20)
TIMES = st.dictionaries(ITEM_ID, MS, max_size=8)
HISTORIES = st.builds(
    History,
    events=st.lists(st.builds(Applied, ITEM_ID, st.integers(0, 1), MS), max_size=8),
    seen=TIMES,
    bought=TIMES,
    event_ids=st.lists(st.text().map(event_hash), max_size=8),
    offsets=st.dictionaries(st.text(max_size=12), COUNT, max_size=4),
    waiting=st.lists(
        st.builds(
            Waiting, st.just("clicks"), st.integers(0, 99), COUNT, st.binary(), st.binary(), ITEM_ID, MS, MS
        ),
        max_size=4,
    ),
    last=st.none() | st.builds(LastEvent, st.just("clicks"), ITEM_ID, ITEM_ID, MS),
    latest_ms=MS,
    applied=COUNT,
)


@given(HISTORIES)
def test_a_history_survives_packing(history: History) -> None:
    assert unpack(pack(history)) == history


@given(HISTORIES)
def test_packing_keeps_the_order_of_what_was_touched(history: History) -> None:
    assert list(unpack(pack(history)).seen) == list(history.seen)


@given(st.binary())
def test_damaged_bytes_are_a_store_error_or_a_history(blob: bytes) -> None:
    try:
        history = unpack(blob)
    except StoreError:
        return
    assert history.format == FORMAT


@pytest.mark.parametrize("blob", [b"", b"\xc1", b"not messagepack", pack(History(applied=1000))[:-1]])
def test_damaged_history_says_that_it_cannot_be_read(blob: bytes) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        unpack(blob)


def test_history_of_a_newer_format_is_refused() -> None:
    with pytest.raises(StoreError, match=f"format {FORMAT + 1}"):
        unpack(pack(History(format=FORMAT + 1)))


def test_a_newer_history_with_more_fields_is_refused_and_not_cut() -> None:
    fields = msgspec.msgpack.decode(pack(History(format=FORMAT + 1)))
    with pytest.raises(StoreError, match=f"format {FORMAT + 1}"):
        unpack(msgspec.msgpack.encode([*fields, "new"]))


def test_a_history_at_all_default_maxima_stays_below_40_kb() -> None:
    bounds = Bounds()
    ids = [f"B0{number:08}" for number in range(bounds.bought_items)]
    history = History(
        events=[Applied(one, 1, 2**41) for one in ids[: bounds.events]],
        seen=dict.fromkeys(ids[: bounds.seen_items], 2**41),
        bought=dict.fromkeys(ids[: bounds.bought_items], 2**41),
        event_ids=[event_hash(str(number)) for number in range(bounds.event_ids)],
        offsets={"0/clicks:1": 2**40, "0/purchases:1": 2**40},
        waiting=[
            Waiting("clicks", 1, 2**40, b"u" * 20, b"v" * 400, ids[0], 2**41, 2**41)
            for _ in range(bounds.waiting)
        ],
    )
    assert len(pack(history)) < 40_000


def test_an_empty_history_is_small() -> None:
    assert len(pack(History())) < 20


def test_two_histories_share_nothing() -> None:
    History().seen["a"] = 1
    assert History().seen == {}


def test_a_new_user_has_zero_vectors() -> None:
    user = UserState.new("u", 3, 5)
    assert (user.interest.shape, user.state.shape) == ((3,), (5,))
    assert not np.any(user.interest)
    assert not np.any(user.state)


@given(st.text())
def test_event_hash_fits_a_signed_64_bit_integer(event_id: str) -> None:
    assert 0 <= event_hash(event_id) < 2**63


def test_event_hashes_of_many_ids_differ() -> None:
    assert len({event_hash(f"event-{number}") for number in range(10_000)}) == 10_000


def test_an_event_that_waited_before_headers_were_kept_is_read() -> None:
    waiting = Waiting("clicks", 0, 1, b"u", b"{}", "i", 2, 3)
    fields = msgspec.msgpack.decode(pack(History(waiting=[waiting])))
    fields[6] = [fields[6][0][:-1]]
    assert unpack(msgspec.msgpack.encode(fields)).waiting == [waiting]
