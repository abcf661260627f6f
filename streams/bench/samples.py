"""Samples of a working process, and what two of them say: events a second, CPU and wall time an event."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoders.errors import FreshetError


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment: clock and CPU in seconds, events done, wall and CPU seconds of each stage."""

    at: float
    cpu: float
    events: int
    stage_wall: Mapping[str, float]
    stage_cpu: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cost:
    """What happened between two samples; times are microseconds an event."""

    events_per_second: float
    cpu_us: dict[str, float]
    wall_us: dict[str, float]


def steady(samples: Sequence[Sample], expected: int) -> tuple[Sample, Sample]:
    """The first sample with an event done, and the last before all were: neither start nor end is in between.

    A run too short for that, or that came in one leap, is taken whole.
    """
    begun = [one for one in samples if 0 < one.events < expected]
    if begun and begun[0].events < begun[-1].events:
        return begun[0], begun[-1]
    idle = [one for one in samples if one.events == 0]
    return (idle[-1] if idle else samples[0]), samples[-1]


def cost(first: Sample, last: Sample) -> Cost:
    """Rate, CPU and wall time of what was done from ``first`` to ``last``; needs events in between.

    ``cpu_us`` has the ``total`` of the process, each stage, and what no stage accounts for (``rest``: Faust,
    mostly).
    """
    events = last.events - first.events
    total = (last.cpu - first.cpu) / events * 1e6
    stages = _per_event(first.stage_cpu, last.stage_cpu, events)
    return Cost(
        events_per_second=round(events / (last.at - first.at), 1),
        cpu_us={"total": round(total, 1), **stages, "rest": round(total - sum(stages.values()), 1)},
        wall_us=_per_event(first.stage_wall, last.stage_wall, events),
    )


def _per_event(first: Mapping[str, float], last: Mapping[str, float], events: int) -> dict[str, float]:
    return {name: round((last[name] - first.get(name, 0.0)) / events * 1e6, 1) for name in sorted(last)}


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used (proc(5), fields 14 and 15 of ``stat``)."""
    # The second field is a name in parentheses, which may hold anything.
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_mb(pid: int) -> float:
    """The most memory that a process has had resident, in MB of 1,000,000 bytes (``VmHWM``)."""
    line = next(line for line in _read(pid, "status").splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) * 1024 / 1e6, 1)


def _read(pid: int, name: str) -> str:
    try:
        return (Path("/proc") / str(pid) / name).read_text()
    except OSError:
        raise FreshetError(
            f"cannot read /proc/{pid}/{name}: `freshet bench` needs Linux, and a worker that lives"
        ) from None
