"""The life of the model on show: drift, training, gate, release, swap. What happened, and when; no Kafka."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from streams.messages import ModelRelease, TrainingRequest
from streams.trainer.outcomes import Outcome


class Phase(Enum):
    """Where the model is."""

    WATCHING = "watching"
    TRAINING = "training"
    REJECTED = "rejected"
    FAILED = "failed"
    RELEASED = "released"
    SERVING = "in service"


MOST_NEWS = 100
STAGES = {
    "replay": "replaying the window",
    "encode": "encoding texts",
    "epoch": "tuning the towers",
    "batch": "tuning the towers",
    "candidates": "living through the window for the ranker",
    "ranker": "tuning the ranker",
    "gate": "at the gate, against the champion",
}
"""What the trainer says it is at, for reading."""


@dataclass(slots=True)
class ModelLife:
    """What is known of it; counts of events are of those sent."""

    version: str = ""
    """That answers users now."""
    phase: Phase = Phase.WATCHING
    statistic: float | None = None
    threshold: float = 0.0
    stage: str = ""
    share: float = 0.0
    """Of the stage that is done."""
    news: list[str] = field(default_factory=list)
    """What has happened, a sentence each, the newest last."""
    request: TrainingRequest | None = None
    """That is being worked on, or was last."""
    shifted_after: int | None = None
    """Events before the season turned; the demo alone knows it."""
    detected_after: int | None = None
    """Events from then until a training was asked for."""
    outcome: Outcome | None = None
    released_version: str | None = None
    """The version that took over, once it has."""

    def measured(self, gauge: tuple[float, float] | None) -> None:
        """Take the detector's statistic and threshold."""
        if gauge is not None:
            self.statistic, self.threshold = gauge

    def shifted(self, events: int) -> None:
        """The season turns after ``events``."""
        self.shifted_after = events
        self._tell("the season turns: shoppers complete gift sets; nobody tells the recommender")

    def asked(self, request: TrainingRequest, events: int) -> None:
        """A training is asked for after ``events``; a repeated message says nothing new."""
        if self.request is not None and self.request.request_id == request.request_id:
            return
        self.request, self.outcome = request, None
        self.phase, self.stage, self.share = Phase.TRAINING, "", 0.0
        if self.shifted_after is not None and self.detected_after is None:
            self.detected_after = events - self.shifted_after
        self._tell(f"drift, a training is asked for: {request.reasons[0].detail}")

    def at_work(self, stage: tuple[str, float] | None) -> None:
        """Take what the trainer is at."""
        if stage is not None and self.phase is Phase.TRAINING:
            self.stage, self.share = stage

    def concluded(self, outcome: Outcome) -> None:
        """The training of the last request has ended."""
        self.outcome = outcome
        if outcome.status == "released":
            self._release(outcome.version)
        else:
            self.phase = Phase.REJECTED if outcome.status == "rejected" else Phase.FAILED
            self._tell(f"{outcome.status} after {outcome.seconds:.0f} s: {outcome.sentence}")

    def released(self, release: ModelRelease) -> None:
        """A release was published; the trainer's record of it may come later."""
        self._release(release.champion.version)

    def served(self, version: str) -> bool:
        """The worker serves ``version``; whether that one has just taken over."""
        if version == self.version:
            return False
        self.version = self.released_version = version
        self.phase = Phase.SERVING
        self._tell(f"{version} has taken over, between two batches")
        return True

    @property
    def open(self) -> bool:
        """Whether a training is under way, or what it released has not taken over yet."""
        return self.phase in (Phase.TRAINING, Phase.RELEASED)

    @property
    def doing(self) -> str:
        """What the trainer is at, for reading."""
        return STAGES.get(self.stage, self.stage or "starting")

    def _release(self, version: str) -> None:
        if self.phase is Phase.TRAINING:
            self.phase = Phase.RELEASED
            self._tell(f"{version} has passed the gate and is released: the worker loads it")

    def _tell(self, sentence: str) -> None:
        self.news = [*self.news, sentence][-MOST_NEWS:]
