"""``freshet train-ranker``: a new version with a ranker, the same for the same seed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from encoders.errors import DataError, SettingsError
from encoders.factors import FACTORS
from encoders.thin_evidence import EVENTS_AN_ITEM
from exporters.model_manifest import RANKER_WEIGHTS, entry_of
from streams.cli.train_ranker import train_ranker

HEADER = "user_id:token\titem_id_list:token_seq\titem_id:token\n"
N_ITEMS, USERS, HISTORY = 40, 60, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who walk along the items in steps of one."""
    path, rng = tmp_path_factory.mktemp("walks"), np.random.default_rng(0)
    valid, test = [HEADER], [HEADER]
    for user in range(USERS):
        start = int(rng.integers(N_ITEMS))
        walk = [str(item % N_ITEMS) for item in range(start, start + 6)]
        valid.append(f"{user}\t{' '.join(walk[:HISTORY])}\t{walk[HISTORY]}\n")
        test.append(f"{user}\t{' '.join(walk[:5])}\t{walk[5]}\n")
    (path / "X.valid.inter").write_text("".join(valid))
    (path / "X.test.inter").write_text("".join(test))
    titles = "".join(f"{index}\titem number {index}\n" for index in range(N_ITEMS))
    (path / "X.item").write_text("item_id:token\ttitle:token_seq\n" + titles)
    return path


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same walks on one clock, a user an hour, in MovieLens' form."""
    path, rng = tmp_path_factory.mktemp("timed"), np.random.default_rng(0)
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float\n"]
    for user in range(USERS):
        start = int(rng.integers(N_ITEMS))
        lines += [f"{user}\t{(start + k) % N_ITEMS}\t4\t{1e9 + 3600 * user + 60 * k}\n" for k in range(6)]
    (path / "ml.inter").write_text("".join(lines))
    titles = "".join(f"{index}\titem number {index}\t1990\tDrama\n" for index in range(N_ITEMS))
    (path / "ml.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n" + titles
    )
    return path


def run(folder: Path, model: Path, out: Path, *more: str, name: str = "unisrec") -> dict[str, object]:
    command = ["--dataset", name, str(folder), "--model", str(model), "--out", str(out), *more]
    arguments = [*command, "--epochs", "2", "--threads", "1", "--json"]
    printed = CliRunner().invoke(train_ranker, arguments, catch_exceptions=False).stdout
    found: dict[str, object] = json.loads(printed)
    return found


def test_a_version_with_a_ranker_is_written_and_a_seed_settles_it(folder, untrained_model, tmp_path):
    once = run(folder, untrained_model, tmp_path / "a", "--seed", "4")
    again = run(folder, untrained_model, tmp_path / "b", "--seed", "4")
    assert once["trained"] == ["ranker"]
    assert once["parent"] == untrained_model.name
    assert once["metrics"]["ranker_rows"] == USERS
    weights = [entry_of(Path(str(found["path"])) / RANKER_WEIGHTS) for found in (once, again)]
    assert weights[0] == weights[1]


def test_with_thin_evidence_the_questions_are_asked_again_at_each_age(folder, untrained_model, tmp_path):
    found = run(folder, untrained_model, tmp_path / "out", "--thin-evidence")
    younger = [share for share in EVENTS_AN_ITEM if share * N_ITEMS < USERS * HISTORY]
    assert found["metrics"]["ranker_rows"] == USERS * (1 + len(younger))


def test_too_few_users_are_refused(folder, untrained_model, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for path in folder.iterdir():
        (few / path.name).write_text(
            "".join(path.read_text().splitlines(keepends=True)[: None if "item" in path.suffix else 5])
        )
    with pytest.raises(DataError, match="too few"):
        run(few, untrained_model, tmp_path / "out")


def test_data_with_times_are_learned_along_their_stream_up_to_a_time(timed, untrained_model, tmp_path):
    whole = run(timed, untrained_model, tmp_path / "whole", name="movielens")
    part = run(timed, untrained_model, tmp_path / "part", "--until", "0.5", name="movielens")
    when = str(datetime.fromtimestamp(1e9 + 3600 * USERS / 2, UTC))
    same = run(timed, untrained_model, tmp_path / "same", "--until", when, name="movielens")
    rows = [found["metrics"]["ranker_rows"] for found in (whole, part, same)]
    assert rows[1] == rows[2] < rows[0]


def test_the_factors_of_one_past_come_with_its_ranker_and_of_several_shops_none_do(
    folder, timed, untrained_model, tmp_path
):
    one = run(timed, untrained_model, tmp_path / "one", name="movielens")
    two = run(timed, untrained_model, tmp_path / "two", "--dataset", "unisrec", str(folder), name="movielens")
    without = run(timed, untrained_model, tmp_path / "no", "--without", "factors", name="movielens")
    assert [found["factors"] for found in (one, two, without)] == [FACTORS, 0, 0]


def test_candidates_are_as_the_settings_say(timed, untrained_model, tmp_path, monkeypatch):
    for source in ("DENSE", "COVISITED", "TRENDING", "NEW", "AGAIN"):
        monkeypatch.setenv(f"FRESHET_RANKING__{source}_CANDIDATES", "0")
    with pytest.raises(DataError, match="nothing to learn"):
        run(timed, untrained_model, tmp_path / "out", name="movielens")


@pytest.mark.parametrize("until", ["0", "1.5", "yesterday"])
def test_an_end_that_means_nothing_is_refused(timed, untrained_model, tmp_path, until):
    with pytest.raises(SettingsError, match="--until"):
        run(timed, untrained_model, tmp_path / "out", "--until", until, name="movielens")
