"""What ``freshet bench pipeline`` prints."""

from __future__ import annotations

import msgspec


class PipelineFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one run, then what was run."""

    events_per_second: float
    """Of the backlog, between the first and the last event applied."""
    freshness_p50_ms: float
    """From sending an event to receiving the recommendation that takes it in, at ``rate`` events a second."""
    freshness_p99_ms: float
    cpu_us_per_event: dict[str, float]
    """``total`` of the worker's process, of each stage's thread, and the ``rest`` (Faust, mostly)."""
    wall_us_per_event: dict[str, float]
    """Wall time of every stage; ``publish`` waits for the broker's acknowledgement."""
    nearest_only_events_per_second: float
    """Of a worker without evidence and ranking, on the same backlog."""
    nearest_only_cpu_us_per_event: dict[str, float]
    added_cpu: float
    """CPU of an event over that of such a worker, less 1: what evidence, fusion and ranking cost."""
    rss_mb: float
    """The worker's peak resident memory, in 1,000,000 bytes."""
    empty_agent_events_per_second: float
    empty_agent_cpu_us_per_event: float
    ratio_to_empty_agent: float
    events: int
    """Events of the backlog; ``paced_events`` came after them."""
    paced_events: int
    rate: float
    """What the paced producer reached."""
    recommendations: int
    users_refreshed: int
    """Distinct users with a recommendation: as many as were touched."""
    items: int
    users: int
    broker: str
    model_version: str
    seed: int

    def json(self) -> str:
        """One line of JSON."""
        return msgspec.json.encode(self).decode()
