"""The heart: how a user's events change the user's state. Pure: no Kafka, no Qdrant, no model.

:func:`fold` decides for each event of one user what becomes of it and writes down the encoder steps to take;
:func:`run_steps` takes the steps of many users at once. What was decided is returned as data
(:class:`Folded`); the shell (``streams.pipeline``) carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from encoders.events import EventType, Interaction, tower_type
from exporters.publisher import Headers
from streams.codec import Reason, Rejected
from streams.fold_types import (
    Bounds,
    DeadLetter,
    FoldContext,
    Folded,
    Outcome,
    Received,
    Step,
    Visited,
)
from streams.state import FULL_STRENGTH, Applied, LastEvent, UserState, Vector, Waiting, event_hash


def fold(user: UserState, events: Sequence[tuple[Received, Interaction]], context: FoldContext) -> Folded:
    """Apply a user's waiting and new events, in order, to ``user.history`` (changed in place).

    Vectors change later, in :func:`run_steps`.
    """
    folded = Folded()
    _release(user, folded, context)
    for received, event in events:
        outcome = _place(user, received, event, folded, context)
        folded.outcomes.append((received, outcome))
    return folded


def _release(user: UserState, folded: Folded, context: FoldContext) -> None:
    """Apply waiting events whose item has arrived; refuse those that waited too long."""
    still = []
    for waiting in user.history.waiting:
        arrived = context.known(waiting.item_id)
        if not arrived and context.now_ms < waiting.deadline_ms:
            still.append(waiting)
            continue
        received = _unpark(waiting)
        event = context.decode(received)
        if arrived and isinstance(event, Interaction):
            _apply(user, received, event, folded, context, waited=True)
            folded.outcomes.append((received, Outcome.APPLIED))
        else:
            rejected = event if isinstance(event, Rejected) else _unknown(event.item_id, context.bounds)
            _refuse(user, received, event, rejected, folded)
            folded.outcomes.append((received, Outcome.DEAD_LETTERED))
    user.history.waiting = still


def _place(
    user: UserState, received: Received, event: Interaction, folded: Folded, context: FoldContext
) -> Outcome:
    history, bounds = user.history, context.bounds
    source = f"{context.epoch}/{received.topic}:{received.partition}"
    if received.offset <= history.offsets.get(source, -1):
        return Outcome.REDELIVERED
    history.offsets[source] = received.offset
    if not _remember_id(user, event.event_id, bounds):
        return Outcome.DUPLICATE
    if context.known(event.item_id):
        _apply(user, received, event, folded, context)
        return Outcome.APPLIED
    if bounds.wait_ms > 0 and _has_room(user, received, bounds):
        history.waiting.append(_park(received, event, context.now_ms + bounds.wait_ms))
        return Outcome.WAITING
    _refuse(user, received, event, _unknown(event.item_id, bounds, full=bounds.wait_ms > 0), folded)
    return Outcome.DEAD_LETTERED


def _has_room(user: UserState, received: Received, bounds: Bounds) -> bool:
    waiting = user.history.waiting
    held = sum(len(one.value) + _size(one.headers) for one in waiting)
    held += len(received.value or b"") + _size(received.headers)
    return len(waiting) < bounds.waiting and held <= bounds.waiting_bytes


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value or b"") for name, value in headers)


def _refuse(
    user: UserState, received: Received, event: Interaction | Rejected, rejected: Rejected, folded: Folded
) -> None:
    """Set an event aside and forget its id: whoever mends the cause may send it again."""
    folded.dead_letters.append(DeadLetter(received, rejected))
    if isinstance(event, Interaction):
        forgotten = event_hash(event.event_id)
        user.history.event_ids = [one for one in user.history.event_ids if one != forgotten]


def _remember_id(user: UserState, event_id: str, bounds: Bounds) -> bool:
    """Note an event id; False where it is among the user's last ``bounds.event_ids``."""
    hashed = event_hash(event_id)
    ids = user.history.event_ids
    if hashed in ids:
        return False
    ids.append(hashed)
    del ids[: max(0, len(ids) - bounds.event_ids)]
    return True


def _park(received: Received, event: Interaction, deadline_ms: int) -> Waiting:
    return Waiting(
        received.topic,
        received.partition,
        received.offset,
        received.key or b"",
        received.value or b"",
        event.item_id,
        deadline_ms,
        received.timestamp_ms,
        tuple(received.headers),
    )


def _unpark(waiting: Waiting) -> Received:
    return Received(
        waiting.topic,
        waiting.partition,
        waiting.offset,
        waiting.key,
        waiting.value,
        waiting.received_ms,
        waiting.headers,
    )


def _unknown(item_id: str, bounds: Bounds, full: bool = False) -> Rejected:
    reason: Reason = "waiting_full" if full else "unknown_item"
    waited = "too many of this user's events wait already" if full else f"waited {bounds.wait_ms} ms"
    return Rejected(reason, f"the catalogue has no item {item_id!r}; {waited}")


def _apply(
    user: UserState,
    received: Received,
    event: Interaction,
    folded: Folded,
    context: FoldContext,
    waited: bool = False,
) -> None:
    history, bounds = user.history, context.bounds
    before = history.events[-context.window :] if context.window else ()
    again = event.item_id in history.seen or event.item_id in history.bought
    gap_ms = event.timestamp_ms - history.latest_ms if history.applied else 0
    bought = event.event_type is EventType.PURCHASE
    strength = context.behaviours.strength(event)
    folded.steps.append(Step(event.item_id, tower_type(event.event_type), gap_ms / 1000, strength))
    hundredths = round(strength * FULL_STRENGTH)
    applied = Applied(event.item_id, int(event.event_type), event.timestamp_ms, hundredths)
    folded.applied.append(Visited(received, event, before, waited, again, history.applied, applied.against))
    history.events.append(applied)
    del history.events[: max(0, len(history.events) - bounds.events)]
    _note(
        history.bought if bought else history.seen,
        event,
        bounds.bought_items if bought else bounds.seen_items,
    )
    history.last = LastEvent(received.topic, event.event_id, event.item_id, event.timestamp_ms)
    history.latest_ms = max(history.latest_ms, event.timestamp_ms)
    history.applied += 1


def _note(times: dict[str, int], event: Interaction, bound: int) -> None:
    """Keep the latest time of an item, moved to the end; forget the items that were touched longest ago."""
    latest = max(times.pop(event.item_id, 0), event.timestamp_ms)
    times[event.item_id] = latest
    while len(times) > bound:
        del times[next(iter(times))]


StepModel = Callable[[Vector, Vector, npt.NDArray[np.int64], npt.NDArray[np.float32]], tuple[Vector, Vector]]
"""``step(state [b, s], item [b, d], event_type [b], gap_seconds [b]) -> (state [b, s], interest [b, d])``."""


def run_steps(
    step: StepModel,
    users: Sequence[UserState],
    steps: Sequence[Sequence[Step]],
    vectors: Mapping[str, Vector],
) -> None:
    """Take every user's steps, the r-th of all users in one call; changes the users' vectors.

    ``vectors`` maps item ids to unit vectors [d].
    """
    for round_number in range(max(map(len, steps), default=0)):
        active = [i for i, own in enumerate(steps) if len(own) > round_number]
        due = [steps[i][round_number] for i in active]
        states, interests = step(
            np.stack([users[i].state for i in active]),
            np.stack([vectors[one.item_id] * np.float32(one.strength) for one in due]),
            np.array([one.event_type for one in due], np.int64),
            np.array([one.gap_seconds for one in due], np.float32),
        )
        for row, i in enumerate(active):
            # A copy: a view would keep the whole batch's array alive for as long as one user is cached.
            users[i].state = states[row].copy()
            users[i].interest = interests[row].copy()
