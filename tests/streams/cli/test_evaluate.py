"""``freshet evaluate``: figures on stdout, one clear line for what it cannot do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from encoders.errors import DataError, ModelError, ModelNotFound, SettingsError
from streams.cli.evaluate import evaluate
from streams.cli.evaluate_leave_one_out import METHODS, _chosen

HEADER = "user_id:token\titem_id_list:token_seq\titem_id:token\n"
FIELDS = [
    "method",
    "recall_at_10",
    "recall_at_50",
    "ndcg_at_10",
    "ndcg_at_50",
    "precision_at_10",
    "hit_rate_at_10",
    "mrr_at_10",
    "novelty_at_10",
    "coverage_at_10",
    "recall_at_10_low",
    "recall_at_10_high",
    "ndcg_at_10_low",
    "ndcg_at_10_high",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "X.valid.inter").write_text(HEADER + "0\t0 1\t2\n1\t1 0\t2\n")
    (tmp_path / "X.test.inter").write_text(HEADER + "0\t0 1 2\t1\n1\t1 0 2\t19\n")
    titles = "".join(f"{index}\titem {index}\n" for index in range(20))
    (tmp_path / "X.item").write_text("item_id:token\ttitle:token_seq\n" + titles)
    return tmp_path


def run(*arguments: object, dataset: str = "unisrec") -> str:
    command = ["--dataset", dataset, *map(str, arguments)]
    return CliRunner().invoke(evaluate, command, catch_exceptions=False).stdout


def test_json_is_one_object_a_method(folder):
    (line,) = run(folder, "--methods", "popularity", "--json").splitlines()
    found = json.loads(line)
    assert list(found) == FIELDS
    assert (found["method"], found["recall_at_10"], found["coverage_at_10"]) == ("popularity", 0.5, 0.5)


def test_without_json_there_is_a_table(folder):
    table = run(folder, "--methods", "popularity")
    assert "recall@10" in table
    assert "coverage" in table
    assert "0.5000" in table
    assert "20 items, 2 test cases" in table


def test_a_set_with_times_has_no_published_split(tmp_path):
    (tmp_path / "u.data").write_text("1\t1\t5\t1\n")
    (tmp_path / "u.item").write_text("1|A|||" + "|0" * 19 + "\n")
    with pytest.raises(DataError, match="use --protocol progressive"):
        run(tmp_path, "--protocol", "leave-one-out", dataset="movielens")


def test_a_set_without_times_cannot_be_replayed(folder):
    with pytest.raises(DataError, match="evaluate it with `--protocol leave-one-out`"):
        run(folder, "--protocol", "progressive")


@pytest.mark.parametrize("option", [["--tune"], ["--sasrec-python", "python"]])
def test_options_of_the_other_protocol_are_refused(folder, option):
    with pytest.raises(SettingsError, match="belong to --protocol progressive"):
        run(folder, *option)


def test_the_path_may_stand_behind_the_name(folder):
    beside = run(folder, "--methods", "popularity", "--json")
    assert run("--methods", "popularity", "--json", dataset=f"unisrec:{folder}") == beside


def test_a_data_set_is_named_once(folder):
    for dataset, path in (("unisrec", []), (f"unisrec:{folder}", [folder])):
        with pytest.raises(SettingsError, match="name the data set once"):
            run(*path, dataset=dataset)


def test_figures_are_written_as_markdown(folder, tmp_path):
    run(folder, "--methods", "popularity", "--markdown", tmp_path / "figures.md")
    lines = (tmp_path / "figures.md").read_text().splitlines()
    assert lines[0].startswith("# unisrec: 20 items, 2 test cases")
    assert lines[2].startswith("| method | recall@10 | ndcg@10 |")
    assert lines[4].startswith("| popularity | 0.5000 [")


def test_with_a_model_at_hand_lists_have_a_diversity(folder, untrained_model):
    options = ["--model", untrained_model, "--methods", "popularity,model", "--json"]
    found = [json.loads(line) for line in run(folder, *options).splitlines()]
    assert [0 < row["diversity_at_10"] < 1 for row in found] == [True, True]


@pytest.mark.parametrize("arguments", [["--methods", "magic"], ["--methods", "untrained", "--model", "m"]])
def test_an_unknown_method_lists_the_known_ones(folder, arguments):
    with pytest.raises(SettingsError, match="choose of popularity"):
        run(folder, *arguments)


def test_without_torch_only_the_methods_that_train_are_missing(folder, monkeypatch):
    for name, module in list(sys.modules.items()):
        if name == "exporters.model_factory" or (name.startswith("exporters.") and hasattr(module, "torch")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "popularity" in run(folder, "--methods", "popularity")
    with pytest.raises(ModelError, match=r"pip install 'freshet\[train\]'"):
        run(folder, "--methods", "untrained")


def test_a_missing_model_is_a_clear_line(folder):
    with pytest.raises(ModelNotFound, match="no model at"):
        run(folder, "--model", folder / "none", "--methods", "model")


def test_counting_baselines_need_no_model(folder):
    found = [
        json.loads(line) for line in run(folder, "--methods", "covisitation,vsknn", "--json").splitlines()
    ]
    assert [row["method"] for row in found] == ["covisitation", "vsknn"]


def test_the_usual_methods_are_the_floor_day_one_and_what_training_adds():
    assert _chosen(None, None) == ["popularity", "untrained", "pretrained"]


def test_all_names_every_method():
    assert _chosen("all", None) == list(METHODS)
