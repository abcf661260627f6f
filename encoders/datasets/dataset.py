"""What a loader returns: a catalogue, interactions in time order, and an account of every line left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from encoders.datasets.time_order import in_time_order
from encoders.errors import DataError
from encoders.events import Interaction, Item

Skipped: TypeAlias = Counter[str]
"""How many lines were left out, by reason."""

Case: TypeAlias = tuple[list[int], int]
"""One question to a recommender: (history, oldest first; the item that came next), indices into ``items``."""


@dataclass(frozen=True, slots=True)
class Skip:
    """A line that is no interaction (or no item), and why."""

    reason: str


MALFORMED = Skip("malformed")


@dataclass(frozen=True)
class LeaveOneOut:
    """A published split by order: each user's last item is the test target, the one before it validation.

    ``sequences`` holds each user's training items, oldest first, as indices into ``Dataset.items``;
    ``valid`` and ``test`` hold one case a user, whose history is everything that came before the target.
    """

    sequences: list[list[int]]
    valid: list[Case]
    test: list[Case]

    @property
    def train(self) -> list[Case]:
        """Each training sequence as all its (prefix, next item) cases, as such sets are published."""
        return [(sequence[:i], sequence[i]) for sequence in self.sequences for i in range(1, len(sequence))]


@dataclass(frozen=True)
class Dataset:
    """One data set, ready to be sent or learned from.

    ``ordered`` is true where the files give an order but no time: timestamps are then synthetic, one second
    apart. ``skipped`` counts the lines of the interaction files that are no interaction, by reason, so that
    ``n_interactions + skipped.total()`` is the number of lines (headers apart) wherever a line is an
    interaction. ``skipped_items`` does the same for the catalogue files.
    """

    name: str
    items: list[Item]
    ordered: bool
    n_interactions: int
    skipped: Skipped
    skipped_items: Skipped
    split: LeaveOneOut | None = None
    read: Callable[[], Iterator[Interaction]] = field(repr=False, default=lambda: iter(()))

    def interactions(self) -> Iterator[Interaction]:
        """All interactions by timestamp, equal timestamps in the order of the file; reads the file again."""
        return self.read()


Catalogue: TypeAlias = dict[str, Item]
Rows: TypeAlias = Callable[[], Iterator[Interaction | Skip]]
"""Starts over at each call: one pass over the interaction files, one value a line."""


def from_rows(name: str, rows: Rows, catalogue: Catalogue, skipped_items: Skipped | None = None) -> Dataset:
    """Pass over the rows once, to count them and to complete the catalogue; they are read again to be sent.

    An item that nothing describes is put into ``catalogue`` with its id as its title, so that no
    interaction is lost. Raises ``DataError`` where no line is an interaction.
    """
    skipped: Skipped = Counter()
    count, latest, in_order = 0, 0, True
    for row in rows():
        if isinstance(row, Skip):
            skipped[row.reason] += 1
            continue
        count += 1
        in_order = in_order and row.timestamp_ms >= latest
        latest = row.timestamp_ms
        if row.item_id not in catalogue:
            catalogue[row.item_id] = Item(row.item_id, title=row.item_id)
    if not count:
        raise DataError(
            f"no line is a usable {name} interaction (left out: {dict(skipped)}): is it such a data set?"
        )

    def read() -> Iterator[Interaction]:
        kept = (row for row in rows() if isinstance(row, Interaction))
        # A file that is in order already (REES46 has 40 million lines a month) needs no memory at all.
        return kept if in_order else in_time_order(kept)

    return Dataset(
        name, list(catalogue.values()), False, count, skipped, Counter(skipped_items or {}), None, read
    )
