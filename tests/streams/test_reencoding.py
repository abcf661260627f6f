"""A history under another model: the same vectors as if the model had seen every event itself."""

from __future__ import annotations

from typing import cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from encoders.events import EventType
from encoders.runtime import ServingModel
from streams.fold_types import Step
from streams.interest import run_steps
from streams.reencoding import encode_histories
from streams.state import Applied, History, UserState
from tests.fakes.model import DIM, FakeModel

MODEL = cast(ServingModel, FakeModel())
ITEMS = {f"i{n}": np.eye(DIM, dtype=np.float32)[n] for n in range(DIM)}

events = st.lists(
    st.builds(
        Applied,
        st.sampled_from(sorted(ITEMS)),
        st.sampled_from([int(one) for one in EventType]),
        st.integers(0, 10**9),
        st.integers(-200, 200),
    ),
    max_size=8,
)


def user(applied: list[Applied]) -> UserState:
    made = UserState.new("ann", DIM, DIM)
    made.history = History(events=applied)
    return made


def stepped(applied: list[Applied]) -> UserState:
    """The oracle: one step an event, as the stream would have taken it."""
    made, steps, newest = user(applied), [], applied[0].timestamp_ms if applied else 0
    for one in applied:
        bought = one.event_type == EventType.PURCHASE
        kind = EventType.PURCHASE if bought else EventType.CLICK
        steps.append(Step(one.item_id, kind, (one.timestamp_ms - newest) / 1000, one.strength / 100))
        newest = max(newest, one.timestamp_ms)
    run_steps(MODEL.step, [made], [steps], ITEMS)
    return made


@given(st.lists(events, min_size=1, max_size=4))
def test_it_is_what_the_stream_would_have_made(histories: list[list[Applied]]) -> None:
    states, interests = encode_histories(MODEL, ITEMS, [user(one) for one in histories])
    for row, history in enumerate(histories):
        wanted = stepped(history)
        np.testing.assert_allclose(states[row], wanted.state, atol=1e-5)
        np.testing.assert_allclose(interests[row], wanted.interest, atol=1e-5)


def test_items_that_are_gone_are_left_out() -> None:
    kept = [Applied("i0", 0, 1_000), Applied("i1", 0, 2_000)]
    gone = [kept[0], Applied("gone", 0, 1_500), kept[1]]
    found, wanted = (encode_histories(MODEL, ITEMS, [user(one)])[0] for one in (gone, kept))
    np.testing.assert_array_equal(found, wanted)


def test_more_users_than_are_encoded_at_once() -> None:
    users = [user([Applied(f"i{n % DIM}", 0, n)]) for n in range(130)]
    states, _ = encode_histories(MODEL, ITEMS, users)
    assert states.argmax(axis=1).tolist() == [n % DIM for n in range(130)]
