"""What the detectors say at this moment, read off a worker's /metrics. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from encoders.errors import DataError

LEVELS = ("none", "warning", "drift")
"""By the value of ``freshet_drift_level``."""


class DetectorStatus(Struct, frozen=True, kw_only=True):
    """One detector in the last window."""

    detector: str
    level: str
    """``none``, ``warning`` or ``drift``; windows in a row are counted."""
    statistic: float
    warning: float
    drift: float
    """Thresholds of the statistic."""


class DriftStatus(Struct, frozen=True, kw_only=True):
    """What one worker shows; without ``detectors`` another one decides, or no window is full."""

    detectors: list[DetectorStatus]
    """The most alarmed first."""
    recall: dict[str, float]
    """Version -> recall of its lists in the last window."""
    decisions: dict[str, int]
    """Kind -> windows since the worker started."""
    reference_windows: int
    last_request_seconds: float
    """Since 1970-01-01 UTC; 0: never."""


def drift_status(exposition: str) -> DriftStatus:
    """Read the text of /metrics; raises ``DataError`` where it is none, or not a worker's."""
    values: dict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
    try:
        for family in text_string_to_metric_families(exposition):
            for sample in family.samples:
                values[sample.name].append((sample.labels, sample.value))
    except ValueError as error:
        raise DataError(f"these are no metrics of a worker: {error}") from error
    if "freshet_drift_decisions_total" not in values:
        raise DataError("these metrics say nothing of drift: name a worker's port with --url")

    def by(name: str, label: str, **wanted: str) -> dict[str, float]:
        found = values[name]
        return {labels[label]: value for labels, value in found if wanted.items() <= labels.items()}

    levels, statistics = by("freshet_drift_level", "detector"), by("freshet_drift_statistic", "detector")
    warning = by("freshet_drift_threshold", "detector", level="warning")
    drift = by("freshet_drift_threshold", "detector", level="drift")
    detectors = [
        DetectorStatus(
            detector=name,
            level=LEVELS[int(level)],
            statistic=statistics[name],
            warning=warning[name],
            drift=drift[name],
        )
        for name, level in sorted(levels.items(), key=lambda one: (-one[1], one[0]))
    ]
    return DriftStatus(
        detectors=detectors,
        recall=by("freshet_progressive_recall", "model_version"),
        decisions={name: int(count) for name, count in by("freshet_drift_decisions_total", "kind").items()},
        reference_windows=int(_only(values["freshet_drift_reference_windows"])),
        last_request_seconds=_only(values["freshet_drift_last_request_timestamp_seconds"]),
    )


def _only(samples: list[tuple[Mapping[str, str], float]]) -> float:
    return samples[0][1] if samples else 0.0
