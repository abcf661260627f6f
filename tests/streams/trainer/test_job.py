"""A training as a whole: whatever is wrong with its candidate ends in a report that a person can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.errors import ModelCorrupt
from encoders.events import EventType, Interaction, Item
from encoders.progress import no_progress
from exporters.model_store import resolve_model
from streams.settings import Settings, TrainerSettings
from streams.trainer import job
from streams.trainer.text_vectors import TEXTS
from streams.trainer.window import Window
from tests.support.full_disk import fill_up, small_disk

EVENTS = [Interaction(f"u{n % 3}", f"i{n % 4}", EventType.CLICK, 1_000 * n, f"e{n}") for n in range(20)]
WINDOW = Window([Item(f"i{row}", f"item {row}") for row in range(4)], EVENTS)


def test_a_candidate_whose_export_differs_is_rejected_with_a_report(
    untrained_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differs(*_: object, **__: object) -> Path:
        raise ModelCorrupt("the export user_step.onnx differs from torch by nan: it is not used")

    monkeypatch.setattr(job, "train_candidate", differs)
    settings = Settings(trainer=TrainerSettings(models=tmp_path, min_events=10))
    champion = resolve_model(untrained_model)
    verdict = job.train(champion, lambda: WINDOW, tmp_path / "work", settings, no_progress)
    assert verdict.report is not None
    assert [check.name for check in verdict.report.failed] == ["computes"]
    assert (verdict.status, verdict.candidate, verdict.report.champion) == ("rejected", "", champion.name)


def test_a_window_of_clicks_alone_is_refused_where_clicks_are_not_trained(
    untrained_model: Path, tmp_path: Path
) -> None:
    bounds = TrainerSettings(models=tmp_path, min_events=10, click_loss_weight=0.0)
    champion, settings = resolve_model(untrained_model), Settings(trainer=bounds)
    verdict = job.train(champion, lambda: WINDOW, tmp_path / "work", settings, no_progress)
    assert verdict.status == "refused"
    assert "raise click_loss_weight" in verdict.sentence


def test_a_training_without_room_for_its_files_has_failed_with_the_reason(
    untrained_model: Path, tmp_path: Path
) -> None:
    champion = resolve_model(untrained_model)
    with small_disk(tmp_path / "disk", megabytes=1) as models:
        fill_up(models)
        settings = Settings(trainer=TrainerSettings(models=models, min_events=10))
        verdict = job.train(champion, lambda: WINDOW, tmp_path / "work", settings, no_progress)
        assert (verdict.status, list((models / TEXTS).iterdir())) == ("failed", [])
        assert "No space left on device" in verdict.sentence
