"""What a worker recommends: candidates from the store and the replica, ranked, ruled, and explained.

One list a query; the queries of a call share a scenario, so that everything is arithmetic over a batch.
Where the numbers come from is in ``encoders.two_stage``; this module knows items by their ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from encoders.candidates import SPARE, CandidateCounts, had
from encoders.config import DAY_SECONDS
from encoders.diversity import NO_ITEM
from encoders.dot_products import dot_products
from encoders.exact_search import LARGEST_SCAN, top_rows
from encoders.factors import FactorRows
from encoders.features import DETAILED, MAX_HISTORY, PADDING, Catalogue, Histories
from encoders.runtime import ServingModel
from encoders.two_stage import covisited, joined, ranked
from exporters.tracing import span
from exporters.vector_store import CollectionNames, VectorStore
from streams.catalog_replica import CatalogReplica
from streams.filters import ANYTHING, passes_nothing
from streams.list_maker import SHORTLIST, Asked, ListMaker, Query
from streams.messages import Reason, RecommendedItem
from streams.popular import PopularItems
from streams.scenarios import Scenario, events_of, filter_at, permitted, usual_price

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

AT_ONCE = 64
"""Users ranked at a time: what is computed of them stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Stages:
    """Candidates of each source, and whether a second stage ranks them."""

    counts: CandidateCounts = field(default_factory=CandidateCounts)
    two_stage: bool = True
    ranked_from: float = 0.0
    """Events an item, on average, from which on the ranker orders the candidates: before, the plain score."""


class Recommender:
    """Makes lists for queries; blocks. Raises ``StoreUnavailable`` or ``StoreError``."""

    def __init__(
        self,
        store: VectorStore,
        names: CollectionNames,
        model: ServingModel,
        replica: CatalogReplica,
        stages: Stages,
        trends_age_seconds: float = 1.0,
    ) -> None:
        """``trends_age_seconds``: how old what is trending and new may be."""
        self._store, self._names, self._model = store, names, model
        self._replica, self._stages = replica, stages
        self._popular = PopularItems(store, names, replica, trends_age_seconds)
        self._lists = ListMaker(replica.items, model)
        self._factors = FactorRows(model.factors)

    def recommend(self, scenario: Scenario, queries: Sequence[Query]) -> list[list[RecommendedItem]]:
        """A list for each query, best first, at most ``scenario.k`` items."""
        lists: list[list[RecommendedItem]] = [[] for _ in queries]
        with self._replica.lock:
            asked = [self._asked(scenario, query) for query in queries]
        trending = [not one.rows or scenario.sources == ("trending",) for one in asked]
        for place, one in enumerate(asked):
            if trending[place]:
                lists[place] = self._trending(scenario, one)
        personal = [place for place in range(len(asked)) if not trending[place]]
        for start in range(0, len(personal), AT_ONCE):
            places = personal[start : start + AT_ONCE]
            made = self._personal(scenario, [asked[place] for place in places])
            for place, items in zip(places, made, strict=True):
                lists[place] = items
        return lists

    def prepare(self) -> None:
        """Search the store once, if lists will: what an engine prepares at its first search is there then."""
        if not self._whole:
            self._store.nearest_items(self._names, np.eye(1, self._model.dim, dtype=np.float32), [1])

    def expire(self) -> None:
        """Read what trends and is new again before the next list: a replay's second holds days."""
        self._popular.expire()

    def _asked(self, scenario: Scenario, query: Query) -> Asked:
        table = self._replica.items
        basis = [one for one in query.events if not one.against and one.item_id in table]
        events = events_of(scenario.basis, basis)[: -MAX_HISTORY - 1 : -1]
        rows = [table.rows[one.item_id] for one in events]
        whole = scenario.basis == "history"
        interest = query.interest if whole or not rows else table.vectors[rows[0]]
        usual = usual_price(table.prices[rows]) if scenario.price_band and rows else None
        length = max(query.applied, len(rows)) if whole else len(rows)
        return Asked(query, rows, events, length, interest, filter_at(scenario, query.at_ms, usual))

    def _trending(self, scenario: Scenario, asked: Asked) -> list[RecommendedItem]:
        """What is trending, for whom nothing else is known or asked."""
        table = self._replica.items
        rows, shares = self._popular.trending()
        passed = permitted(scenario, asked.filter, rows, table) & table.available[rows]
        passed &= ~np.isin(rows, table.rows_of(asked.query.hidden))
        rows, shares = rows[passed], shares[passed]
        order = self._lists.diverse(scenario, rows[None], shares[None])[0]
        return [
            RecommendedItem(table.ids[rows[at]], round(float(shares[at]), 6), Reason("trending"))
            for at in order.tolist()
            if at != NO_ITEM
        ]

    def _personal(self, scenario: Scenario, asked: Sequence[Asked]) -> list[list[RecommendedItem]]:
        with span("retrieve"):
            dense, scores = self._nearest(scenario, asked)
            self._popular.refresh()  # not while the lock is held: it asks the store
        with span("rank"), self._replica.lock:
            if not self._stages.two_stage:
                return self._lists.make(scenario, asked, dense, scores, None, self._popular.new())
            now = max(self._replica.evidence.latest, *(one.query.at_ms / 1000 for one in asked))
            histories = _histories(asked, now)
            candidates = self._candidates(scenario, asked, dense, histories)
            if not candidates.size:
                return [[] for _ in asked]
            interests = np.stack([one.interest for one in asked])
            catalogue = self._catalogue(now)
            known = float(catalogue.popularity.mean()) >= self._stages.ranked_from
            rank = self._model.rank if known else _unranked
            found = ranked(histories, interests, candidates, catalogue, rank)
            new = self._popular.new()
            return self._lists.make(scenario, asked, found.items, found.scores, found, new)

    def _nearest(self, scenario: Scenario, asked: Sequence[Asked]) -> tuple[Integers, Floats]:
        """Rows and scores of the nearest items that are not hidden, [b, dense], padded."""
        wanted = self._dense_wanted(scenario)
        rows = np.full((len(asked), wanted), PADDING)
        scores = np.full((len(asked), wanted), -np.inf, np.float32)
        if self._in_memory(asked):
            return self._scan(asked, wanted), scores
        # In the order of their limits: an engine answers neighbours that ask for equally many in one scan.
        order = sorted(range(len(asked)), key=lambda place: len(asked[place].query.hidden))
        order = [place for place in order if wanted and not passes_nothing(asked[place].filter)]
        if not order:
            return rows, scores
        reach = SHORTLIST * wanted if scenario.also else wanted
        hits = self._store.nearest_items(
            self._names,
            np.stack([asked[place].interest for place in order]),
            [reach + len(asked[place].query.hidden) for place in order],
            None
            if all(asked[place].filter == ANYTHING for place in order)
            else [asked[place].filter for place in order],
        )
        self._replica.ensure(hit.item_id for found in hits for hit in found)
        known = self._replica.items.rows
        for place, found in zip(order, hits, strict=True):
            hidden = asked[place].query.hidden
            kept = [hit for hit in found if hit.item_id not in hidden and hit.item_id in known]
            own = np.array([known[hit.item_id] for hit in kept], np.int64)
            passed = np.flatnonzero(permitted(scenario, ANYTHING, own, self._replica.items))[:wanted]
            rows[place, : len(passed)] = own[passed]
            scores[place, : len(passed)] = [kept[at].score for at in passed.tolist()]
        return rows, scores

    def _in_memory(self, asked: Sequence[Asked]) -> bool:
        """Whether the replica holds all that the store could find, and is cheaper to ask.

        For ranking alone, which scores again: the store's own scores do not depend on the batch.
        """
        return self._whole and all(one.filter == ANYTHING for one in asked)

    @property
    def _whole(self) -> bool:
        small = not self._store.shared and len(self._replica) <= LARGEST_SCAN
        return small and self._stages.two_stage

    def _scan(self, asked: Sequence[Asked], wanted: int) -> Integers:
        """Rows of the nearest items, [b, wanted], by one matrix product over the replica."""
        table = self._replica.items
        if not wanted:
            return np.full((len(asked), 0), PADDING)
        with self._replica.lock:
            scores = dot_products(np.stack([one.interest for one in asked]), table.vectors)  # [b, n]
            scores[:, ~table.available] = -np.inf
            for own, one in zip(scores, asked, strict=True):
                own[table.rows_of(one.query.hidden)] = -np.inf
        return top_rows(scores, wanted)

    def _dense_wanted(self, scenario: Scenario) -> int:
        if not self._stages.two_stage:
            return SHORTLIST * scenario.k if scenario.reorders else scenario.k
        return max(self._stages.counts.dense, scenario.k) if "interest" in scenario.sources else 0

    def _candidates(
        self, scenario: Scenario, asked: Sequence[Asked], dense: Integers, histories: Histories
    ) -> Integers:
        """Rows of all sources that the scenario permits, [b, c], padded."""
        counts, sources = self._stages.counts, [dense]
        if "covisited" in scenario.sources and counts.covisited:
            # More, since some are hidden.
            wanted = np.array([counts.covisited + min(SPARE, len(one.query.hidden)) for one in asked])
            newest = histories.newest(DETAILED)
            sources.append(covisited(newest, self._replica.evidence.neighbours(), wanted))
        if scenario.repeats:
            sources.append(had(histories, counts.again))
        shared = []
        if "trending" in scenario.sources:
            shared.append(self._popular.trending()[0][: counts.trending])
        if "new" in scenario.sources:
            shared.append(self._popular.new()[: counts.new])
        if shared:
            sources.append(np.tile(np.concatenate(shared), (len(asked), 1)))
        return self._permitted(scenario, asked, joined(*sources))

    def _permitted(self, scenario: Scenario, asked: Sequence[Asked], candidates: Integers) -> Integers:
        table = self._replica.items
        candidates[~table.available[candidates]] = PADDING  # row -1 is a row, and padding stays padding
        ruled = scenario.also or any(one.filter != ANYTHING for one in asked)
        hidden = np.zeros(len(table) + 1, np.bool_)  # the last place is that of padding
        for own, one in zip(candidates, asked, strict=True):
            rows = table.rows_of(one.query.hidden)
            hidden[rows] = True
            own[hidden[own]] = PADDING
            hidden[rows] = False
            if ruled:
                real = np.flatnonzero(own >= 0)
                own[real[~permitted(scenario, one.filter, own[real], table)]] = PADDING
        candidates.sort(axis=1)  # padding first: columns without any candidate are dropped
        return candidates[:, int((candidates == PADDING).sum(axis=1).min(initial=candidates.shape[1])) :]

    def _catalogue(self, now: float) -> Catalogue:
        """The replica as the features read it, as of the stream's latest event (seconds)."""
        table, evidence = self._replica.items, self._replica.evidence
        return Catalogue(
            vectors=table.vectors,
            neighbours=evidence.neighbours(),
            popularity=evidence.popularity(now),
            recent=evidence.recent(now),
            ages=((now * 1000 - table.created_ms) / 86_400_000).astype(np.float32),
            prices=np.nan_to_num(table.prices),
            categories=table.main_categories,
            bought=evidence.bought(now),
            depth=evidence.depth(),
            factors=self._factors.of(table.ids),
        )


def _unranked(features: Floats) -> None:
    """In a shop with little evidence, which no ranker has learned to weigh."""


def _histories(asked: Sequence[Asked], now: float) -> Histories:
    """Newest first, padded on the right; ``now`` in seconds."""
    width = max(len(one.rows) for one in asked)
    items = np.zeros((len(asked), width), np.int64)
    weights = np.zeros(items.shape, np.float32)
    times, types = np.full(items.shape, now), np.zeros(items.shape, np.int64)
    for place, one in enumerate(asked):
        own = slice(len(one.rows))
        items[place, own], weights[place, own] = one.rows, 1.0
        times[place, own] = [event.timestamp_ms / 1000 for event in one.events]
        types[place, own] = [event.event_type for event in one.events]
    lengths = np.array([one.length for one in asked])
    return Histories(items, weights, ((now - times) / DAY_SECONDS).astype(np.float32), types, lengths)
