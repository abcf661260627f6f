from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from encoders.errors import DataError, FreshetError, ReleaseRefused, SettingsError
from exporters.model_store import resolve_model
from streams.cli import cli
from streams.cli.catalogue import read_catalogue
from streams.cli.model import _read_items

LINE = '{"item_id": "A1", "title": "Tea pot", "categories": ["Kitchen"], "price": 9.5, "colour": "red"}'


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_catalogue_lines_are_items(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(LINE + "\n\n" + '{"item_id": "A2", "title": "Cup", "available": false}\n')
    first, second = read_catalogue(path)
    assert (first.item_id, first.text, first.price) == ("A1", "Tea pot. Kitchen", 9.5)
    assert not second.available


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"item_id": "A"}', '{"item_id": "A", "title": "t", "price": -1}', '"\udcff"']
)
def test_line_that_is_no_item_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(LINE.encode() + b"\n" + line.encode("utf-8", "surrogateescape") + b"\n")
    with pytest.raises(DataError, match="line 2"):
        read_catalogue(path)


def test_a_catalogue_has_no_times(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text(LINE)
    with pytest.raises(SettingsError, match="--until belongs to --dataset"):
        cli(
            ["model", "init", "--catalog", str(tmp_path / "items.jsonl"), "--until", "0.5", "--out", "x"],
            standalone_mode=False,
        )


def test_items_of_a_data_set_are_those_that_came_before_a_time(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t1\t5\t10\n1\t2\t5\t20\n2\t3\t5\t30\n2\t4\t5\t40\n")
    (tmp_path / "u.item").write_text("".join(f"{n}|Film {n}|||" + "|0" * 19 + "\n" for n in range(1, 5)))
    _, items = _read_items(None, ("movielens", str(tmp_path)), "0.5")
    assert [item.item_id for item in items] == ["1", "2"]


def test_empty_and_missing_catalogues_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(DataError, match="no items"):
        read_catalogue(tmp_path / "empty")
    with pytest.raises(DataError, match="cannot read"):
        read_catalogue(tmp_path / "missing")


def test_show_verifies_and_prints_the_manifest_as_json(untrained_model: Path) -> None:
    result = run("model", "show", untrained_model, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["version"] == untrained_model.name


def test_show_says_in_words_that_nothing_was_trained(untrained_model: Path) -> None:
    assert "nothing: whitened text vectors" in run("model", "show", untrained_model).stdout


def test_show_of_no_model_says_how_to_make_one(tmp_path: Path) -> None:
    error = run("model", "show", tmp_path).exception
    assert isinstance(error, FreshetError)
    assert "freshet model init" in str(error)


def test_init_wants_one_source_of_items(tmp_path: Path) -> None:
    assert isinstance(run("model", "init", "--out", tmp_path).exception, SettingsError)


@pytest.mark.parametrize("command", [("model", "init"), ("model", "show"), ("pretrain",)])
def test_help_teaches_with_an_example(command: tuple[str, ...]) -> None:
    assert re.search("Examples?:", run(*command, "--help").stdout)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif("FRESHET_SLOW" not in os.environ, reason="takes minutes: set FRESHET_SLOW=1")
def test_pretrain_writes_a_model_better_than_its_parent(
    tmp_path: Path, data_dir: Path, untrained_model: Path
) -> None:
    result = run(
        *("pretrain", "--dataset", "movielens", data_dir / "ml-100k", "--out", tmp_path),
        *("--from", untrained_model, "--epochs", "3", "--json"),
    )
    assert result.exit_code == 0, result.exception
    metrics = json.loads(result.stdout)["metrics"]
    assert metrics["validation_ndcg_at_10"] > metrics["parent_validation_ndcg_at_10"]


def test_fetched_model_is_the_latest_of_its_folder(untrained_model: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256((untrained_model / "manifest.json").read_bytes()).hexdigest()
    result = run("model", "fetch", untrained_model, "--out", tmp_path, "--digest", digest, "--json")
    assert json.loads(result.stdout)["version"] == untrained_model.name
    assert resolve_model(tmp_path).parent == tmp_path


def test_model_of_another_digest_is_refused_and_nothing_is_the_latest(
    untrained_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(ReleaseRefused, match="not the one that was released"):
        cli(
            ["model", "fetch", str(untrained_model), "--out", str(tmp_path), "--digest", "0" * 64],
            standalone_mode=False,
        )
    assert not (tmp_path / "latest").exists()
