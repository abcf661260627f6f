"""A worker offline: what it knows at each moment of a timestamped stream, and the candidates it would rank.

The same parts as the running system (interest graph, ``Evidence`` that grows event by event, candidates,
features), fed from arrays instead of Kafka and Qdrant: for training a ranker on the past of a stream as it
was lived, and for evaluating one on what came after.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from encoders.candidates import NEW_SECONDS, SPARE, CandidateCounts, had
from encoders.config import DAY_SECONDS
from encoders.covisitation import CovisitationConfig
from encoders.evaluation.streaming import UserHistories
from encoders.evaluation.timeline import Basket, Events, Stage
from encoders.events import EventType, Item, tower_type
from encoders.evidence import Evidence, HalfLives
from encoders.features import (
    DETAILED,
    FEATURES,
    MAX_HISTORY,
    PADDING,
    Catalogue,
    Floats,
    Histories,
    Integers,
    features,
)
from encoders.replayed_evidence import counted, entries_of, turns
from encoders.runtime import ServingModel
from encoders.two_stage import Rank, covisited, scored

Mask = npt.NDArray[np.bool_]

RECENT: Final = FEATURES.index("recent")
SLAB: Final = 256
"""Baskets that are learned at a time."""


@dataclass(frozen=True, slots=True)
class ReplayConfig:
    """What of a worker's settings shows in its candidates and features."""

    covisitation: CovisitationConfig = field(default_factory=CovisitationConfig)
    half_lives: HalfLives = field(default_factory=HalfLives)
    counts: CandidateCounts = field(default_factory=CandidateCounts)
    strengths: tuple[float, ...] = (1.0, 1.0, 1.25, -1.0, 1.0)
    """By ``EventType``: how strongly an event moves its user's interest."""


USUAL: Final = ReplayConfig()


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: candidates and what the ranker sees of them."""

    candidates: Integers
    """[c]"""
    features: Floats
    """[1, c, F]"""
    known: bool
    """Whether the user had done anything by then."""

    def best(self, rank: Rank, k: int) -> tuple[Integers, Floats]:
        """The k best candidates [at most k], best first, and their scores; for strangers, what trends."""
        scores = (scored(self.features, rank)[0] if self.known else self.features[:, :, RECENT])[0]
        order = np.argsort(-scores, kind="stable")[:k]
        return self.candidates[order], scores[order]


class ReplayedWorker:
    """Learns events in time order and answers questions between them."""

    def __init__(
        self,
        model: ServingModel,
        stage: Stage,
        items: Sequence[Item],
        config: ReplayConfig = USUAL,
    ) -> None:
        """``stage.text_vectors`` must be there; ``items`` [n] of the stage, for prices and categories."""
        assert stage.text_vectors is not None, "the worker needs the items' texts"
        self._model, self._stage = model, stage
        self._config, self._counts = config.covisitation, config.counts
        self.vectors = model.item_vectors(stage.text_vectors)
        self.factors = None if model.factors is None else model.factors.rows([one.item_id for one in items])
        """[n, f]: the model's own, or what is put here in their place."""
        self._prices = np.array([item.price or 0.0 for item in items], np.float32)
        self._categories = _codes(items)
        self._evidence = Evidence(self._config.neighbours, config.half_lives)
        self._evidence.grow(stage.n_items)
        self._histories = UserHistories()
        self._had: dict[int, set[int]] = {}
        self._states = model.initial_state(stage.n_users)
        self._interests = np.zeros((stage.n_users, model.dim), np.float32)
        self._latest = np.full(stage.n_users, np.nan)
        self._strengths = np.array(config.strengths, np.float32)
        self._tower_types = np.array([tower_type(kind) for kind in EventType], np.int64)

    def twin(self) -> ReplayedWorker:
        """Another that knows the same by now, and learns apart; model and stage are shared."""
        return copy.deepcopy(self, {id(part): part for part in (self._model, self._stage)})

    def learn(self, baskets: Sequence[Basket]) -> None:
        """Apply what users did, in time order, to interests, evidence and histories."""
        if not baskets:
            return
        events = _events(baskets)
        self._step(events)
        self._evidence.add(entries_of(events, self._histories, self._config))
        self._evidence.count(counted(events, self._histories, self._config))
        for basket in baskets:
            self._histories.add(basket)
            self._had.setdefault(basket.user, set()).update(basket.items.tolist())

    def interests_of(self, users: Integers) -> Floats:
        """Interest vectors of users [u] as they are now, [u, d]; zeros of one without events."""
        return self._interests[users]

    def ask(self, user: int, seconds: float) -> Asked:
        """Candidates for a user at a time, of what has arrived by then; without repeats nothing he had."""
        arrived = self._stage.arrivals <= seconds
        hidden = set() if self._stage.repeats else self._had.get(user, set())
        history = self._history(user, seconds)
        candidates = self._candidates(history, user, arrived, hidden, seconds)
        known = bool(history.weights.any())
        if not len(candidates):
            return Asked(candidates, np.zeros((1, 0, len(FEATURES)), np.float32), known)
        catalogue = self._catalogue(seconds)
        found = features(history, self._interests[user : user + 1], candidates[None], catalogue)
        return Asked(candidates, found, known)

    def _history(self, user: int, seconds: float) -> Histories:
        newest = self._histories.newest(user, MAX_HISTORY)
        if not len(newest):
            none = np.zeros((1, 1), np.float32)
            return Histories(none.astype(np.int64), none, none, none.astype(np.int64), np.zeros(1, np.int64))
        days = (seconds - newest.seconds[::-1]) / DAY_SECONDS
        return Histories(
            np.ascontiguousarray(newest.items[::-1][None]),
            np.ones((1, len(newest)), np.float32),
            days[None].astype(np.float32),
            newest.event_types[::-1][None],
            np.array([self._histories.length(user)]),
        )

    def _catalogue(self, seconds: float) -> Catalogue:
        ages = np.maximum(seconds - self._stage.arrivals, 0.0) / DAY_SECONDS
        return Catalogue(
            self.vectors,
            self._evidence.neighbours(),
            self._evidence.popularity(seconds),
            self._evidence.recent(seconds),
            ages.astype(np.float32),
            self._prices,
            self._categories,
            int((self._stage.arrivals <= seconds).sum()),
            self._evidence.bought(seconds),
            self._evidence.depth(),
            self.factors,
        )

    def _candidates(
        self, history: Histories, user: int, arrived: Mask, hidden: set[int], seconds: float
    ) -> Integers:
        counts, arrivals = self._counts, self._stage.arrivals
        allowed = arrived.copy()
        allowed[list(hidden)] = False
        newest = float(arrivals[arrived].max(initial=0.0))
        found = [
            _best(self._evidence.recent(seconds), arrived, counts.trending),
            _best(arrivals, arrived & (arrivals > newest - NEW_SECONDS), counts.new),
        ]
        if history.weights.any():
            found.append(_best(self.vectors @ self._interests[user], allowed, counts.dense))
            if counts.covisited:
                # More, since some may not be recommended.
                wanted = np.array([counts.covisited + min(SPARE, len(hidden))])
                found.append(covisited(history.newest(DETAILED), self._evidence.neighbours(), wanted)[0])
            if self._stage.repeats:
                found.append(had(history, counts.again)[0])
        candidates = np.unique(np.concatenate(found))
        real: Integers = candidates[(candidates != PADDING) & allowed[candidates]]
        return real

    def _step(self, events: Events) -> None:
        """One event each of distinct users at a time, as the worker's batches do."""
        turn = turns(events.users)
        for number in range(int(turn.max()) + 1):
            at = np.flatnonzero(turn == number)
            users, seconds = events.users[at], events.seconds[at]
            gaps = np.nan_to_num(seconds - self._latest[users])
            self._states[users], self._interests[users] = self._model.step(
                self._states[users],
                self.vectors[events.items[at]] * self._strengths[events.event_types[at], None],
                self._tower_types[events.event_types[at]],
                gaps.astype(np.float32),
            )
            self._latest[users] = seconds


def _events(baskets: Sequence[Basket]) -> Events:
    lengths = [len(basket.items) for basket in baskets]
    return Events(
        np.repeat([basket.user for basket in baskets], lengths),
        np.concatenate([basket.items for basket in baskets]),
        np.concatenate([basket.event_types for basket in baskets]),
        np.repeat([basket.seconds for basket in baskets], lengths),
    )


def _best(scores: npt.NDArray[np.floating], allowed: Mask, k: int) -> Integers:
    """The k best allowed items, in no order."""
    rows = np.flatnonzero(allowed)
    if len(rows) <= k:
        return rows
    best: Integers = rows[np.argpartition(-scores[rows], k - 1)[:k]] if k else rows[:0]
    return best


def _codes(items: Sequence[Item]) -> Integers:
    """A number for each item's narrowest category, as the worker's table has it; -1 without one."""
    codes: dict[str, int] = {}
    names = [item.categories[-1] if item.categories else None for item in items]
    return np.array([PADDING if name is None else codes.setdefault(name, len(codes)) for name in names])
