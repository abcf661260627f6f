"""Everything that is on the demo's screen, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

from encoders.events import EventType
from streams.demo.life import ModelLife


@dataclass(slots=True)
class Stage:
    """One step of starting up; ``total`` 0 where the length is not known."""

    name: str
    done: int = 0
    total: int = 0
    started: bool = False
    seconds: float | None = None
    """How long it took, once it is finished."""


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One event of the shopper on show; ``hit``: the item was among those recommended just before."""

    event_type: EventType
    title: str
    shelf: str
    hit: bool


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One recommended item."""

    item_id: str
    title: str
    shelf: str
    score: float


@dataclass(slots=True)
class ScreenState:
    """Everything on the screen. The demo changes it, ``render`` only reads it."""

    stages: list[Stage] = field(default_factory=list)
    life: ModelLife = field(default_factory=ModelLife)
    playground: str = ""
    """URL of the page on which a person can be a shopper, too; empty without it."""
    elapsed_seconds: float = 0.0
    shopper: str = ""
    history: list[HistoryLine] = field(default_factory=list)
    """Newest first."""
    suggestions: list[Suggestion] = field(default_factory=list)
    """Best first."""
    before: list[str] = field(default_factory=list)
    """Ids of the recommendation before this one, best first; empty when there was none."""
    events_per_second: float = 0.0
    freshness_p50_ms: float | None = None
    freshness_p99_ms: float | None = None
    recall: float | None = None
    popularity_recall: float | None = None
    scored: int = 0
    """How many events both recalls are measured on."""
    curve: list[tuple[float, float]] = field(default_factory=list)
    """Recall of the recommendations and of popularity over time, oldest first."""
    recall_before: float | None = None
    """Recall over the last scored events when the season turned."""
    recall_at_worst: float | None = None
    """The lowest from then until a version took over."""
    marks: list[tuple[int, str]] = field(default_factory=list)
    """Places in the curve, ascending, and what happened there, in one word."""
    events_sent: int = 0
    events_applied: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    users: int = 0
    items: int = 0
    recommendations: int = 0

    @property
    def starting(self) -> bool:
        """Whether a stage of starting up is still open."""
        return any(stage.seconds is None for stage in self.stages)
