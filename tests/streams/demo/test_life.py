"""The life of the model on show, from drift to a new version, and its panel."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from streams.demo.life import ModelLife, Phase
from streams.demo.life_panel import ROWS, life_panel
from streams.messages import ModelAt, ModelRelease, TrainingReason, TrainingRequest
from streams.trainer.outcomes import Outcome, Status


def request(number: int = 1) -> TrainingRequest:
    reason = TrainingReason(
        kind="drift", detector="recall_page_hinkley", detail="recall_page_hinkley is 300, above 299"
    )
    return TrainingRequest(
        request_id=f"v1-{number}",
        model="demo",
        parent="v1",
        reasons=[reason],
        window_from_ms=0,
        window_until_ms=1,
        requested_at=1,
    )


def outcome(status: Status, sentence: str = "better, sound, and holds elsewhere") -> Outcome:
    version = "v2" if status == "released" else ""
    return Outcome(
        request_id="v1-1",
        model="demo",
        parent="v1",
        status=status,
        sentence=sentence,
        version=version,
        seconds=31.0,
    )


def release() -> ModelRelease:
    champion = ModelAt(version="v2", uri="models/v2", digest="0" * 64)
    return ModelRelease(model="demo", number=1, champion=champion, released_at=0)


def training() -> ModelLife:
    life = ModelLife("v1")
    life.shifted(5_000)
    life.asked(request(), 6_100)
    return life


def shown(life: ModelLife, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(life_panel(life))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_drift_is_counted_from_the_shift() -> None:
    assert training().detected_after == 1_100


def test_a_request_before_any_shift_counts_for_none() -> None:
    life = ModelLife("v1")
    life.asked(request(), 700)

    assert (life.phase, life.detected_after) == (Phase.TRAINING, None)


def test_a_repeated_request_changes_nothing() -> None:
    life = training()
    life.concluded(outcome("rejected"))
    life.asked(request(), 9_000)

    assert (life.phase, life.detected_after) == (Phase.REJECTED, 1_100)


@pytest.mark.parametrize("record_first", [True, False])
def test_a_release_takes_over_when_the_worker_serves_it(record_first: bool) -> None:
    """The record of the outcome and the release are read from two places, in any order."""
    life = training()
    first, second = (life.concluded, life.released) if record_first else (life.released, life.concluded)
    first(outcome("released") if record_first else release())  # type: ignore[arg-type]
    second(release() if record_first else outcome("released"))  # type: ignore[arg-type]
    assert (life.phase, life.released_version) == (Phase.RELEASED, None)
    assert life.open

    assert not life.served("v1")
    assert life.served("v2")
    assert (life.phase, life.version, life.released_version) == (Phase.SERVING, "v2", "v2")
    assert not life.open


def test_what_did_not_pass_leaves_the_version_and_says_why() -> None:
    life = training()
    life.concluded(outcome("rejected", "NDCG@10 differs by +0.0010"))

    assert (life.phase, life.version, life.open) == (Phase.REJECTED, "v1", False)
    assert life.news[-1] == "rejected after 31 s: NDCG@10 differs by +0.0010"


def test_the_panel_is_empty_but_steady_before_the_first_window() -> None:
    text = shown(ModelLife("v1"))

    assert "● watching" in text
    assert "drift –" in text
    assert "nothing has drifted" in text


def test_the_panel_shows_how_near_drift_is() -> None:
    life = ModelLife("v1")
    life.measured((132.4, 300.0))
    life.measured(None)

    assert "drift 132 of 300" in shown(life)


def test_the_panel_shows_what_the_training_is_at() -> None:
    life = training()
    life.at_work(("ranker", 0.42))
    text = shown(life)

    assert "◌ training" in text
    assert "tuning the ranker" in text
    assert "42%" in text


def test_the_panel_says_why_a_candidate_was_rejected() -> None:
    life = training()
    life.concluded(outcome("rejected", "NDCG@10 differs by +0.0010"))

    assert "✗ rejected" in shown(life)
    assert "NDCG@10 differs by +0.0010" in shown(life)


def test_the_panel_says_which_version_was_released_and_which_serves() -> None:
    life = training()
    life.released(release())
    assert "▲ released" in shown(life)
    life.served("v2")

    assert "✓ in service" in shown(life)
    assert "v2 has taken over" in shown(life)


@pytest.mark.parametrize("width", [40, 76, 200])
def test_the_panel_is_always_of_the_same_height(width: int) -> None:
    life = training()
    life.concluded(outcome("rejected", "a sentence " * 40))

    for one in (ModelLife("v1"), training(), life):
        assert len(shown(one, width).splitlines()) == ROWS
