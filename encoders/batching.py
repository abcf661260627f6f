"""Interactions as arrays: sequences of users, what predicts what, and padded batches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from encoders.errors import DataError
from encoders.events import EventType, Interaction, tower_type

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sequences:
    """Histories of n users with e events in all, oldest first, one after the other."""

    offsets: Integers
    """[n + 1]: user u's events are ``offsets[u]:offsets[u + 1]``."""
    items: Integers
    """[e], indices into the catalogue."""
    event_types: Integers
    """[e], ``EventType``."""
    gaps: Floats
    """[e], seconds since the event before; 0 for the first and in data without times."""
    context: Integers
    """[e], the position (within the sequence) of the last event known when this one is predicted; -1: none.

    Usually the event before. Events with equal timestamps are one basket, and none of it predicts the rest.
    """

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: Integers) -> Sequences:
        """The sequences ``rows`` [r], in that order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.arange(int(offsets[-1])) - np.repeat(offsets[:-1] - self.offsets[rows], lengths)
        return Sequences(offsets, self.items[at], self.event_types[at], self.gaps[at], self.context[at])


@dataclass(frozen=True, slots=True)
class TrainingSequences:
    """What ``pretrain`` learns from."""

    train: Sequences
    valid: Sequences | None = None
    """Histories, one for each validation target; ``None``: nothing is held out and the last epoch is kept."""
    valid_targets: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """[len(valid)], the item that followed each history."""
    dataset: str = ""
    from_ms: int | None = None
    until_ms: int | None = None
    valid_types: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """[len(valid)], ``EventType`` of each validation target; empty: not known."""

    @property
    def interactions(self) -> int:
        """Events in the training part."""
        return len(self.train.items)


@dataclass(frozen=True, slots=True)
class Batch:
    """b sequences of at most t events, padded on the right with item 0."""

    items: Integers
    """[b, t]"""
    event_types: Integers
    """[b, t]"""
    gaps: Floats
    """[b, t]"""
    lengths: Integers
    """[b]"""
    target_rows: Integers
    """[k]: the sequence of each predicted event."""
    target_contexts: Integers
    """[k]: after which event of that sequence it is predicted."""
    targets: Integers
    """[k]: the item."""
    target_types: Integers
    """[k]: what the user did with it."""


def sequences_of(histories: Sequence[Sequence[int]], event_type: EventType = EventType.PURCHASE) -> Sequences:
    """Histories of data without times: all of one event type, gaps 0."""
    lengths = np.array([len(history) for history in histories], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    items = np.fromiter((item for history in histories for item in history), np.int64, int(offsets[-1]))
    positions = np.arange(len(items), dtype=np.int64) - np.repeat(offsets[:-1], lengths)
    types = np.full(len(items), int(event_type), dtype=np.int64)
    return Sequences(offsets, items, types, np.zeros(len(items), dtype=np.float32), positions - 1)


def from_leave_one_out(
    train: Sequence[tuple[list[int], int]],
    valid: Sequence[tuple[list[int], int]],
    *,
    event_type: EventType = EventType.PURCHASE,
    dataset: str = "",
) -> TrainingSequences:
    """Training and validation rows (history, target) of a published leave-one-out split.

    Rows that are a prefix of the row before or after them (data augmentation) are dropped: every prefix of a
    sequence is trained on anyway.
    """
    whole = _without_prefixes([[*history, target] for history, target in train])
    return TrainingSequences(
        sequences_of(whole, event_type),
        sequences_of([history for history, _ in valid], event_type) if valid else None,
        np.array([target for _, target in valid], dtype=np.int64),
        dataset,
        valid_types=np.full(len(valid), int(event_type), dtype=np.int64),
    )


def _without_prefixes(rows: list[list[int]]) -> list[list[int]]:
    kept: list[list[int]] = []
    for row in rows:
        if kept and row == kept[-1][: len(row)]:
            continue
        if kept and kept[-1] == row[: len(kept[-1])]:
            kept[-1] = row
            continue
        kept.append(row)
    return kept


def from_interactions(
    interactions: Iterable[Interaction],
    index: Mapping[str, int],
    *,
    valid_fraction: float = 0.1,
    max_valid: int = 10_000,
    max_history: int = 50,
    seed: int = 0,
    dataset: str = "",
) -> TrainingSequences:
    """Split interactions by one global time: the oldest train, the newest ``valid_fraction`` validate.

    ``index`` takes item ids to indices; other items are left out. Each validation row is an event of a user
    with a history: the history is what the user did at strictly earlier times, the training part included.
    Raises ``DataError`` where fewer than two events are usable.
    """
    events = sorted((e for e in interactions if e.item_id in index), key=lambda event: event.timestamp_ms)
    if len(events) < 2:
        raise DataError("fewer than two interactions with items of the catalogue: nothing to learn from")
    boundary = events[int(len(events) * (1.0 - valid_fraction))].timestamp_ms
    users: dict[str, list[Interaction]] = {}
    for event in events:
        users.setdefault(event.user_id, []).append(event)
    histories = [[e for e in history if e.timestamp_ms < boundary] for history in users.values()]
    train = _timed([history for history in histories if history], index)
    rows, targets = _validation_rows(users, boundary, max_history)
    if len(rows) > max_valid:
        chosen = np.sort(np.random.default_rng(seed).choice(len(rows), max_valid, replace=False))
        rows, targets = [rows[i] for i in chosen], [targets[i] for i in chosen]
    return TrainingSequences(
        train,
        _timed(rows, index) if rows else None,
        np.array([index[event.item_id] for event in targets], dtype=np.int64),
        dataset,
        events[0].timestamp_ms,
        events[-1].timestamp_ms,
        np.array([tower_type(event.event_type) for event in targets], dtype=np.int64),
    )


def _validation_rows(
    users: Mapping[str, list[Interaction]], boundary: int, max_history: int
) -> tuple[list[list[Interaction]], list[Interaction]]:
    rows, targets = [], []
    for history in users.values():
        times = [event.timestamp_ms for event in history]
        for event in history[bisect_left(times, boundary) :]:
            known = bisect_left(times, event.timestamp_ms)
            if known:
                rows.append(history[max(0, known - max_history) : known])
                targets.append(event)
    return rows, targets


def _timed(histories: Sequence[Sequence[Interaction]], index: Mapping[str, int]) -> Sequences:
    base = sequences_of([[index[event.item_id] for event in history] for history in histories])
    types = np.array([tower_type(e.event_type) for history in histories for e in history], dtype=np.int64)
    times = np.array([e.timestamp_ms for history in histories for e in history], dtype=np.int64)
    gaps = np.diff(times, prepend=times[:1]).astype(np.float64) / 1000.0
    gaps[base.offsets[:-1]] = 0.0
    return Sequences(base.offsets, base.items, types, gaps.astype(np.float32), _contexts(base, times))


def _contexts(base: Sequences, times: Integers) -> Integers:
    """For each event the last position of its sequence with an earlier time: the one before its basket."""
    context = base.context.copy()
    starts = set(base.offsets[:-1].tolist())
    for i in range(len(times)):
        if i not in starts and times[i] == times[i - 1]:
            context[i] = context[i - 1]
    return context


def batches(
    sequences: Sequences, batch_size: int, max_length: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """One pass over all sequences in random order, in pieces of at most ``max_length`` events.

    Sequences of similar length share a batch (less padding); pieces without anything to predict are left out.
    """
    pieces = _pieces(sequences, max_length)
    # A little noise on the lengths: similar ones together, but never the same batches twice.
    order = np.argsort((pieces[:, 1] - pieces[:, 0]) * rng.uniform(0.8, 1.25, len(pieces)), kind="stable")
    groups = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    for group in rng.permutation(len(groups)):
        batch = pad(sequences, pieces[groups[group]])
        if len(batch.targets):
            yield batch


def _pieces(sequences: Sequences, max_length: int) -> Integers:
    """[p, 2]: start and end of each piece, in events."""
    pieces = [
        (start, min(start + max_length, int(end)))
        for begin, end in zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True)
        for start in range(int(begin), int(end), max_length)
    ]
    return np.array(pieces, dtype=np.int64).reshape(-1, 2)


def pad(sequences: Sequences, pieces: Integers) -> Batch:
    """Bring pieces [b, 2] into one rectangle; an event whose context lies outside its piece is no target."""
    lengths = pieces[:, 1] - pieces[:, 0]
    columns = np.arange(int(lengths.max(initial=1)))
    real = columns < lengths[:, None]  # [b, t]
    at = np.where(real, pieces[:, :1] + columns, 0)  # [b, t]
    owner = np.searchsorted(sequences.offsets, pieces[:, 0], side="right") - 1
    context = (
        sequences.context[at] + sequences.offsets[owner][:, None] - pieces[:, :1]
    )  # [b, t], within the piece
    rows, places = np.nonzero(real & (context >= 0) & (context < columns))
    return Batch(
        np.where(real, sequences.items[at], 0),
        np.where(real, sequences.event_types[at], 0),
        np.where(real, sequences.gaps[at], 0.0).astype(np.float32),
        lengths,
        rows,
        context[rows, places],
        sequences.items[at][rows, places],
        sequences.event_types[at][rows, places],
    )
