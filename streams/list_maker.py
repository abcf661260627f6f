"""From ranked candidates to lists: diversity, caps, exploration, and a reason for every item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from encoders.diversity import NO_CODE, NO_ITEM, Cap, mmr, scaled
from encoders.reasons import REASONS, SIMILAR, named_events, parts, plain_parts
from encoders.runtime import ServingModel
from encoders.two_stage import Rank, Ranked, taken
from exporters.vector_store import ItemFilter, Vector
from streams.exploration import explore
from streams.item_table import ItemTable
from streams.messages import Reason, ReasonKind, RecommendedItem
from streams.scenarios import Scenario
from streams.state import Applied

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

SHORTLIST = 3
"""Times k that diversity chooses from."""
EXPLORED = Reason("explored")


@dataclass(frozen=True, slots=True)
class Query:
    """One list to be made.

    ``interest`` [d] of the user; ``events`` oldest first; ``hidden`` items are left out; ``at_ms`` is the
    user's latest event; ``seed`` names the list, so that what is explored is the same each time; ``applied``
    events were there in all, those included that are no longer kept.
    """

    interest: Vector
    events: Sequence[Applied]
    hidden: set[str]
    at_ms: int
    seed: str = ""
    applied: int = 0


@dataclass(slots=True)
class Asked:
    """A query with what its scenario's basis makes of it."""

    query: Query
    rows: list[int]
    """Rows of the basis' items, newest first."""
    events: Sequence[Applied]
    """Those events."""
    length: int
    """How many there were in all."""
    interest: Vector
    filter: ItemFilter


class ListMaker:
    """Makes lists of the items of a table; whoever shares the table holds its lock."""

    def __init__(self, items: ItemTable, model: ServingModel) -> None:
        """``model``: whose ranker tells the parts of scores."""
        self._items, self._model = items, model

    def make(
        self,
        scenario: Scenario,
        asked: Sequence[Asked],
        rows: Integers,
        scores: Floats,
        found: Ranked | None,
        new: Integers,
    ) -> list[list[RecommendedItem]]:
        """The final lists of candidates ``rows`` [b, c], best first; ``new`` rows may be explored.

        ``found`` has what the reasons are made from; ``None``: the scores are similarities.
        """
        everything = scenario.exploration or self._caps(scenario)
        width = rows.shape[1] if everything else min(rows.shape[1], SHORTLIST * scenario.k)
        order = self.diverse(scenario, rows[:, :width], scores[:, :width])  # [b, k]
        explored = np.zeros(order.shape, np.bool_)
        if scenario.exploration:
            order, explored = self._explored(scenario, asked, rows, order, new)
        reasons, events = _reasons(found, order, self._model.rank)
        kept = np.maximum(order, 0)
        chosen = (
            np.take_along_axis(rows, kept, axis=1),
            np.take_along_axis(scores, kept, axis=1),
            reasons,
            events,
            explored,
        )
        lengths = (order != NO_ITEM).sum(axis=1).tolist()
        # Plain lists first: a number taken out of an array costs more than the struct that is made of it.
        columns = zip(*(column.tolist() for column in chosen), strict=True)
        return [
            self._list(one.rows, zip(*(column[:length] for column in own), strict=True))
            for one, length, own in zip(asked, lengths, columns, strict=True)
        ]

    def _list(
        self, basis: Sequence[int], chosen: Iterable[tuple[int, float, int, int, bool]]
    ) -> list[RecommendedItem]:
        """Of row, score, reason, the event that it names, and whether it is explored, of each item."""
        ids = self._items.ids
        return [
            RecommendedItem(
                ids[row], round(score, 6), EXPLORED if explored else _reason(reason, event, basis, ids)
            )
            for row, score, reason, event, explored in chosen
        ]

    def diverse(self, scenario: Scenario, rows: Integers, scores: Floats) -> Integers:
        """Places of the chosen candidates, [b, k], ``NO_ITEM`` at the end of short lists."""
        caps = [
            Cap(np.where(rows >= 0, codes[rows], NO_CODE), limit) for codes, limit in self._caps(scenario)
        ]
        real = np.where(rows >= 0, scores, np.float32(-np.inf))
        vectors = self._items.vectors[rows] if scenario.diversity else None
        return mmr(scaled(real), vectors, scenario.diversity, scenario.k, caps)

    def _caps(self, scenario: Scenario) -> list[tuple[Integers, int]]:
        """The group of every item, and how many of one group a list takes."""
        table = self._items
        both = (
            (table.main_categories, scenario.max_per_category),
            (table.brands, scenario.max_per_brand),
        )
        return [(codes, limit) for codes, limit in both if limit is not None]

    def _with_room(self, scenario: Scenario, kept: list[int], new: list[int]) -> list[int]:
        """Of the rows ``new`` as many as the caps leave room for beside the rows ``kept``."""
        for codes, limit in self._caps(scenario):
            taken_up = Counter(codes[kept].tolist())
            fitting = []
            for row in new:
                code = int(codes[row])
                if code == NO_CODE or taken_up[code] < limit:
                    taken_up[code] += 1
                    fitting.append(row)
            new = fitting
        return new

    def _explored(
        self,
        scenario: Scenario,
        asked: Sequence[Asked],
        rows: Integers,
        order: Integers,
        new: Integers,
    ) -> tuple[Integers, npt.NDArray[np.bool_]]:
        """Some places of the lower half given to new items among the candidates."""
        fresh = set(new.tolist())
        flags = np.zeros(order.shape, np.bool_)
        for b, one in enumerate(asked):
            places = {row: place for place, row in enumerate(rows[b].tolist()) if row >= 0}
            kept = [int(rows[b, at]) for at in order[b].tolist() if at != NO_ITEM]
            picks = [row for row in places if row in fresh and row not in kept]
            picks = self._with_room(scenario, kept, picks)
            ids = self._items.ids
            chosen, own = explore(
                [ids[row] for row in kept],
                [ids[row] for row in picks],
                scenario.exploration,
                scenario.k,
                one.query.seed,
            )
            order[b] = NO_ITEM
            order[b, : len(chosen)] = [places[self._items.rows[name]] for name in chosen]
            flags[b, : len(own)] = own
        return order, flags


def _reasons(found: Ranked | None, order: Integers, rank: Rank) -> tuple[Integers, Integers]:
    """Index of the reason and place of the event it names, [b, k] each."""
    if found is None:
        return np.full(order.shape, REASONS.index(SIMILAR)), np.full(order.shape, -1)
    asked = np.take_along_axis(found.order, np.maximum(order, 0), axis=1)  # [b, k]
    shown = taken(found.described, asked)
    real = np.asarray(found.described.features.any(axis=2), np.float32)  # padding is all zeros
    why = parts(shown.features, found.described.features, real, rank).argmax(axis=2)
    why[found.plain] = plain_parts(shown.features[found.plain]).argmax(axis=2)
    return why, named_events(shown, why)


def _reason(why: int, event: int, rows: Sequence[int], ids: Sequence[str]) -> Reason:
    return Reason(cast(ReasonKind, REASONS[why]), ids[rows[event]] if event >= 0 else None)
