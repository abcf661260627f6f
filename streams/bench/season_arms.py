"""The arms of the season bench: a ranker at work, and what trains it as the season goes. Torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from encoders.evaluation.progressive import Replayed
from encoders.evaluation.timeline import Basket, Integers
from encoders.ranker import Ranker, RankerConfig
from encoders.replayed_worker import Asked
from streams.bench.season_cases import Cases, lists_of, rank_of, replayed
from streams.bench.season_figures import Training
from streams.bench.season_training import fine_tune
from streams.bench.season_triggers import Asking, Request, Shown
from streams.settings_sections import TrainerSettings


@dataclass(slots=True)
class Arm:
    """Shows lists, and swaps its ranker where a training was released."""

    name: str
    ranker: Ranker | None
    """``None``: the plain score."""
    asking: Asking
    since: float
    """Seconds since 1970-01-01 UTC: when the ranker was released."""
    trainings: list[Training] = field(default_factory=list)
    _lists: list[Integers] = field(default_factory=list)
    _released: int = 0

    def show(self, baskets: Sequence[Basket], asked: Sequence[Asked]) -> Request | None:
        """Make the lists for a chunk of baskets; a request where what followed asks for a training."""
        lists, scores = lists_of(asked, rank_of(self.ranker))
        self._lists.append(lists)
        version = f"{self.name}-{self._released}"
        return self.asking.asks(Shown(baskets, lists, scores, version, self.since))

    def train(self, request: Request, cases: Cases, settings: TrainerSettings, config: RankerConfig) -> None:
        """Do as a request asks; ``cases`` hold all of its window."""
        ranker, training = fine_tune(self.ranker, cases, request, settings, config)
        self.trainings.append(training)
        if training.released:
            self.ranker, self.since = ranker, request.end
            self._released += 1

    def outcome(self, baskets: Sequence[Basket]) -> Replayed:
        """All lists so far beside the baskets that they were made for."""
        return replayed(baskets, np.concatenate(self._lists))
