"""The demo's processes: ``freshet worker``, ``freshet trainer`` and ``freshet ui``, each in one of its own.

What differs from the defaults is here: a shop of hundreds of shoppers has its seasons within minutes.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from prometheus_client import Metric

from streams.demo.child_process import ChildProcess, free_port
from streams.demo.preparation import MODELS, STORE
from streams.settings_sections import Detector

UNKNOWN_ITEM_WAIT_SECONDS = 2.0
"""Short, so that a demo that ends need not wait half a minute for an item that never comes."""
DETECTOR: Detector = "recall_page_hinkley"
"""The one that asks for a training; the others warn: of so few shoppers they are nervous."""
TRAIN_ON_EVENTS = 1_200
"""About as many as it takes until the detector is sure: what is trained on is new."""
WORKER, TRAINER, UI = "worker", "trainer", "ui"

QUICK = {
    # One event for two items is enough for a ranker that is tuned on this very shop.
    "RANKING__RANKED_FROM_EVENTS": "0.5",
    "DRIFT__REPORT_SECONDS": "1",
    "DRIFT__WINDOW_EVENTS": "120",
    "DRIFT__SAMPLE": "32",
    "DRIFT__LEAST_SCORED": "300",
    "DRIFT__PAGE_HINKLEY": "450",
    "DRIFT__WARN_ONLY": json.dumps([one for one in get_args(Detector) if one != DETECTOR]),
    "DRIFT__COOL_DOWN_SECONDS": "30",
    "DRIFT__MAX_INTERVAL_SECONDS": "0",
    "TRAINER__POLICY": "adaptor",
    "TRAINER__RANKER_ROWS": "1500",
    "TRAINER__MIN_EVENTS": "200",
    "TRAINER__MAX_SECONDS": "300",
    "TRAINER__GATE_CASES": "400",
    # Of some hundred cases: less is noise.
    "TRAINER__GATE_MAX_LOSS": "0.2",
}
"""Settings of both processes, without their prefix."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run's processes work: the broker, the run's folder (``preparation.run_folder``), and logs."""

    bootstrap_servers: str
    run: Path
    logs: Path

    @property
    def models(self) -> Path:
        """Folder of versions."""
        return self.run / MODELS

    @property
    def store(self) -> Path:
        """Folder of the in-process Qdrant."""
        return self.run / STORE


class WorkerProcess(ChildProcess):
    """A worker on the models and the store of a run."""

    def __init__(self, place: Place, rate: float) -> None:
        """``rate``: events a second to come."""
        self.port = port = free_port()
        own = {
            "HTTP__PORT": str(port),
            "QDRANT__PATH": str(place.store),
            "INPUT__UNKNOWN_ITEM_WAIT_SECONDS": str(UNKNOWN_ITEM_WAIT_SECONDS),
            "DRIFT__TRAIN_ON_SECONDS": str(TRAIN_ON_EVENTS / rate),
        }
        super().__init__(WORKER, _environment(place, own), port, place.logs / "worker.log")


class TrainerProcess(ChildProcess):
    """A trainer on the models of a run."""

    def __init__(self, place: Place) -> None:
        port = free_port()
        own = {"TRAINER__PORT": str(port), "TRAINER__MODELS": str(place.models)}
        super().__init__(TRAINER, _environment(place, own), port, place.logs / "trainer.log")


class UiProcess(ChildProcess):
    """The playground, beside the worker at a port."""

    def __init__(self, place: Place, worker_port: int) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        own = {"UI__PORT": str(port), "HTTP__PORT": str(worker_port), "TRAINER__MODELS": str(place.models)}
        super().__init__(UI, _environment(place, own), port, place.logs / "ui.log")


def outcomes(metrics: Mapping[str, Metric]) -> Counter[str]:
    """What became of the clicks and purchases so far: outcome -> count."""
    return _sums(metrics, "freshet_events", "outcome")


def items_stored(metrics: Mapping[str, Metric]) -> int:
    """How many messages of the catalogue the worker has carried out."""
    found = _sums(metrics, "freshet_items", "outcome")
    return found["encoded"] + found["unchanged_text"] + found["dead_lettered"]


def recommendations(metrics: Mapping[str, Metric]) -> int:
    """How many recommendations the worker has published."""
    return _sums(metrics, "freshet_recommendations", "model_version").total()


def served_version(metrics: Mapping[str, Metric]) -> str | None:
    """The version of the model that answers users; ``None`` in the moment in which it changes."""
    samples = metrics["freshet_model_info"].samples if "freshet_model_info" in metrics else ()
    found = (one.labels["model_version"] for one in samples if one.labels["role"] == "champion")
    return next(found, None)


def drift_gauge(metrics: Mapping[str, Metric]) -> tuple[float, float] | None:
    """The detector's statistic and the threshold of drift; ``None`` before the first window."""
    statistic = _value(metrics, "freshet_drift_statistic", detector=DETECTOR)
    threshold = _value(metrics, "freshet_drift_threshold", detector=DETECTOR, level="drift")
    return None if statistic is None or threshold is None else (statistic, threshold)


def training_stage(metrics: Mapping[str, Metric]) -> tuple[str, float] | None:
    """What the trainer is at, and the share of it that is done; ``None`` where nothing is trained."""
    family = metrics.get("freshet_trainer_stage_done")
    return next(((one.labels["stage"], one.value) for one in family.samples), None) if family else None


def _sums(metrics: Mapping[str, Metric], name: str, label: str) -> Counter[str]:
    sums: Counter[str] = Counter()
    for sample in metrics[name].samples if name in metrics else ():
        if sample.name == f"{name}_total":
            sums[sample.labels[label]] += int(sample.value)
    return sums


def _value(metrics: Mapping[str, Metric], name: str, **labels: str) -> float | None:
    samples = metrics[name].samples if name in metrics else ()
    return next((one.value for one in samples if one.labels == labels), None)


def _environment(place: Place, own: dict[str, str]) -> dict[str, str]:
    # The user's own settings must not leak in: they may name a real Kafka or a real Qdrant.
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith("FRESHET_")}
    common = {
        "KAFKA__BOOTSTRAP_SERVERS": place.bootstrap_servers,
        "MODEL__PATH": str(place.models),
        "MODEL__CACHE": str(place.run / "cache"),
    }
    return clean | {f"FRESHET_{name}": value for name, value in (QUICK | common | own).items()}
