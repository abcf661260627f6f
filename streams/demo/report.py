"""The demo's last line: one JSON object, whose counts always add up."""

from __future__ import annotations

import msgspec

from encoders.errors import FreshetError


class DemoReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo did. Recall and freshness are ``None`` where nothing could be measured."""

    events_sent: int
    """Events the shop and its visitors sent, the deliberately broken and repeated ones included."""
    events_applied: int
    duplicates: int
    dead_letters: int
    users: int
    items: int
    recommendations_published: int
    freshness_p50_ms: float | None
    """From the moment an event was sent until the recommendation that it triggered was received."""
    freshness_p99_ms: float | None
    recall_at_10: float | None
    """Progressive recall@10 of what was published (``streams.demo.scoring``)."""
    recall_at_10_popularity: float | None
    """The same of popularity, on exactly the same events."""
    model_version: str
    """That served at the start."""
    seconds: float
    drift_detected_after_events: int | None = None
    """Events sent from the turn of the season until a training was asked for; this and what follows is
    ``None`` where it did not happen within the run."""
    training_seconds: float | None = None
    """From the trainer's start to its outcome, the gate included."""
    released_version: str | None = None
    """The version that took over."""
    recall_before: float | None = None
    """Recall@10 over the last scored events (``ProgressiveRecall.recent``) when the season turned."""
    recall_at_worst: float | None = None
    """The lowest such window from then until a version took over."""
    recall_after: float | None = None
    """The last such window of the run."""

    def check(self) -> None:
        """Raise ``FreshetError`` unless every event sent is accounted for."""
        accounted = self.events_applied + self.duplicates + self.dead_letters
        if accounted != self.events_sent:
            raise FreshetError(
                f"{self.events_sent} events were sent but {accounted} are accounted for "
                f"({self.events_applied} applied, {self.duplicates} duplicates, "
                f"{self.dead_letters} dead letters): see the worker's log"
            )

    def json(self) -> str:
        """One line of JSON."""
        return msgspec.json.encode(self).decode()
