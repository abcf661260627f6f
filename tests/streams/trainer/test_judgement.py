"""The gate over folders: what cannot be loaded, or is the champion again, is rejected with a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from encoders.events import EventType, Interaction, Item
from encoders.gate.report import GateReport
from encoders.progress import no_progress
from encoders.replayed_worker import USUAL
from exporters.model_manifest import DISTILLED_METRIC, INT8_METRIC, MANIFEST
from exporters.model_store import resolve_model
from streams.settings import TrainerSettings
from streams.trainer.judgement import judge_candidate
from streams.trainer.text_vectors import TextVectors
from streams.trainer.window import Window

ITEMS = [Item(f"i{row}", f"item {row}") for row in range(12)]
START_MS = 1_700_000_000_000


def events(start: int, count: int) -> list[Interaction]:
    rng = np.random.default_rng(start)
    return [
        Interaction(
            f"u{rng.integers(9)}",
            f"i{rng.integers(len(ITEMS))}",
            EventType.CLICK,
            START_MS + (start + number) * 60_000,
            f"e{start + number}",
        )
        for number in range(count)
    ]


def judged(champion: Path, candidate: Path, texts: Path) -> GateReport:
    return judge_candidate(
        champion,
        candidate,
        Window(ITEMS, events(100, 200), events(0, 100)),
        TrainerSettings(gate_cases=30, gate_min_cases=10),
        texts=TextVectors(texts),
        repeats=True,
        replayed=USUAL,
        progress=no_progress,
    )


@pytest.fixture
def copy(untrained_model: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "20300101-00000000"
    shutil.copytree(untrained_model, folder)
    return folder


def test_a_training_that_found_nothing_is_rejected(untrained_model: Path, tmp_path: Path) -> None:
    champion = resolve_model(untrained_model)
    assert [check.name for check in judged(champion, champion, tmp_path).failed] == ["trained"]


@pytest.mark.parametrize("name", ["item.onnx", "user_step.onnx", "ranker.onnx", "manifest.json"])
def test_a_candidate_that_is_damaged_is_rejected(
    untrained_model: Path, copy: Path, tmp_path: Path, name: str
) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:-20])
    assert [check.name for check in judged(untrained_model, copy, tmp_path).failed] == ["computes"]


@pytest.mark.parametrize(
    ("metric", "check"), [(INT8_METRIC, "int8_overlap"), (DISTILLED_METRIC, "distilled_overlap")]
)
def test_a_share_that_the_manifest_tells_is_asked_for(
    untrained_model: Path, copy: Path, tmp_path: Path, metric: str, check: str
) -> None:
    manifest = json.loads((copy / MANIFEST).read_bytes())
    manifest["metrics"] |= {metric: 0.5}
    (copy / MANIFEST).write_text(json.dumps(manifest))
    assert check in [one.name for one in judged(untrained_model, copy, tmp_path).failed]


def test_the_champion_under_another_name_is_no_better_on_the_newest_events_and_loses_nothing_before(
    untrained_model: Path, copy: Path, tmp_path: Path
) -> None:
    report = judged(untrained_model, copy, tmp_path)
    found = {check.name: check.passed for check in report.checks if check.name != "cost"}
    assert found.pop("better") is False
    assert all(found.values())
    assert [one.name for one in report.slices] == ["newest", "before the window"]
    assert [one.difference for one in report.slices] == [0.0, 0.0]
