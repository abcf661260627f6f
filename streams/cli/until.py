"""``--until``: the part of a data set with times that lies before a moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from encoders.datasets import Dataset
from encoders.errors import DataError, SettingsError
from encoders.evaluation.timeline import Events, Floats, Stage, timeline_of

UNTIL = "Of data with times only what lies before: a share of the events (0.8) or an ISO time."


def past_of(data: Dataset, until: str | None) -> tuple[Events, Stage]:
    """The events before ``until`` and the stage at that time; all events without it.

    Raises ``SettingsError`` for what is no time, ``DataError`` where nothing lies before it.
    """
    timeline = timeline_of(data)
    seconds = timeline.events.seconds
    end = float(seconds[-1]) + 1.0 if until is None else _end(until, seconds)
    past = timeline.events[: int(np.searchsorted(seconds, end))]
    if not len(past):
        raise DataError(f"no event of {data.name} lies before {until}: choose a later --until")
    return past, timeline.stage(end)


def dataset_until(data: Dataset, until: str | None) -> Dataset:
    """The data set as it was at that time: its events before it, and the items that had arrived.

    Data without times, and any data without ``until``, are returned as they are. Raises as ``past_of`` does.
    """
    if until is None or data.ordered:
        return data
    past, stage = past_of(data, until)
    end_ms = stage.split_seconds * 1000
    return replace(
        data,
        items=[item for item, there in zip(data.items, stage.arrived) if there],
        n_interactions=len(past),
        read=lambda: (event for event in data.interactions() if event.timestamp_ms < end_ms),
    )


def seconds_of(time: str, option: str = "--until", instead: str = "") -> float:
    """An ISO time, UTC unless it says otherwise, in seconds since 1970-01-01 UTC.

    Raises ``SettingsError``, which names the ``option`` and what else it takes ``instead``.
    """
    try:
        found = datetime.fromisoformat(time)
    except ValueError as error:
        raise SettingsError(f"{option} {time!r}: give {instead}a time such as 2011-10-01") from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _end(until: str, seconds: Floats) -> float:
    """The time that ``--until`` means, in seconds since 1970-01-01 UTC."""
    try:
        share = float(until)
    except ValueError:
        return seconds_of(until, instead="a share such as 0.8 or ")
    if not 0.0 < share <= 1.0:
        raise SettingsError(f"--until {until}: a share of the events lies above 0 and not above 1")
    return float(seconds[int(share * len(seconds))]) if share < 1.0 else float(seconds[-1]) + 1.0
