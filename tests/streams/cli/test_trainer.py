"""``freshet trainer`` from files: no Kafka, one outcome, and the champion stays where nothing passed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from encoders.errors import SettingsError
from exporters.model_store import resolve_model
from streams.cli.trainer import trainer
from streams.trainer.verdict import Verdict

FILMS = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n1\tHeat\t1995\tAction\n"
RATINGS = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n7\t1\t3\t880000000\n"


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "ml-100k.item").write_text(FILMS)
    (folder / "ml-100k.inter").write_text(RATINGS)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(trainer, [str(argument) for argument in arguments])


def test_a_window_that_is_too_small_is_refused_and_recorded(
    films: Path, untrained_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "models"
    ended = run("--once", "--dataset", "movielens", films, "--model", untrained_model, "--out", out, "--json")
    assert ended.exit_code == 0, ended.output
    outcome = json.loads(ended.stdout.splitlines()[-1])
    assert outcome["status"] == "refused"
    assert "1 usable events" in outcome["sentence"]
    assert len(list((out / "requests").iterdir())) == 1
    assert not (out / "latest").exists()


def test_the_champion_is_the_latest_of_a_folder_of_versions(
    films: Path, untrained_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def train(champion: Path, *_: object) -> Verdict:
        asked.append(champion)
        return Verdict(status="rejected", sentence="as told")

    monkeypatch.setattr("streams.trainer.job.train", train)
    run("--once", "--dataset", "movielens", films, "--model", untrained_model.parent, "--out", tmp_path)
    assert asked == [resolve_model(untrained_model.parent)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "models"),
        ("--out", "models"),
        ("--dataset", "movielens", "x"),
        ("--once", "--dataset", "movielens", "x"),
        ("--dataset", "movielens", "x", "--model", "m"),
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_one_clear_line(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert isinstance(ended.exception, SettingsError)
    assert "\n" not in str(ended.exception)
