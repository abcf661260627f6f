"""``freshet evaluate`` on data with times: what it prints, writes and refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from encoders.errors import SettingsError
from encoders.evaluation.baselines import BASELINES
from encoders.features import GROUPS as FEATURE_GROUPS
from streams.cli import evaluate_progressive
from streams.cli.evaluate import evaluate
from streams.cli.evaluate_output import Output, Report, as_markdown, check_output, write_report

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
COUNTING = "popularity,popularity-7-days,own-history,covisitation,vsknn"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        f"{day},{item},item {item},1,2011-01-{day:02d} {hour:02d}:00:00,1,{customer},UK\n"
        for day in range(1, 29)
        for hour, customer in enumerate(rng.permutation(6)[:3])
        for item in rng.integers(0, 4 + day // 4, 3)
    ]
    (tmp_path / "shop.csv").write_text(HEADER + "".join(rows))
    return tmp_path


def run(*arguments: object) -> str:
    return CliRunner().invoke(evaluate, list(map(str, arguments)), catch_exceptions=False).stdout


def test_json_holds_every_group_with_its_intervals(shop):
    lines = run("--dataset", f"online-retail:{shop}", "--methods", COUNTING, "--json").splitlines()
    found = [json.loads(line) for line in lines]
    assert [row["method"] for row in found] == COUNTING.split(",")
    for row in found:
        figures = row["all"]
        assert figures["ndcg_at_10_low"] <= figures["ndcg_at_10"] <= figures["ndcg_at_10_high"]
        assert row["known_users"]["cases"] + row["new_users"]["cases"] == figures["cases"] > 0
        assert {"new_items", "new_items_again", "settings"} <= set(row)


def test_every_method_is_compared_with_the_best(shop):
    lines = run("--dataset", f"online-retail:{shop}", "--methods", COUNTING, "--json").splitlines()
    found = [json.loads(line) for line in lines]
    best = max(found, key=lambda row: row["all"]["ndcg_at_10"])
    for row in found:
        name, mean, low, high = row["ndcg_at_10_behind_best"]
        assert name == best["method"]
        assert mean == pytest.approx(best["all"]["ndcg_at_10"] - row["all"]["ndcg_at_10"])
        assert low <= mean <= high


def test_the_same_run_gives_the_same_figures(shop):
    options = ["--dataset", "online-retail", shop, "--methods", "covisitation", "--json"]
    assert run(*options) == run(*options)


def test_without_json_there_is_a_table_for_each_group(shop):
    table = run("--dataset", f"online-retail:{shop}", "--methods", "popularity,vsknn")
    assert "events learned" in table
    for heading in ("all (", "known users (", "new users (", "new items ("):
        assert heading in table
    assert "paired by basket" in table


def test_tuning_tells_its_trials_and_uses_the_best(shop):
    result = CliRunner().invoke(
        evaluate,
        ["--dataset", f"online-retail:{shop}", "--methods", "own-history", "--tune", "--json"],
        catch_exceptions=False,
    )
    assert "the best of 7" in result.stderr
    trials = [line for line in result.stderr.splitlines() if ": validation NDCG@10" in line]
    best = max(trials, key=lambda line: float(line.rsplit(" ", 1)[1]))
    settings = json.loads(result.stdout)["settings"]
    assert (str(settings) if settings else "as it is") in best


def test_an_unknown_method_lists_the_known_ones(shop):
    with pytest.raises(SettingsError, match="no method magic here: choose of newest, popularity"):
        run("--dataset", f"online-retail:{shop}", "--methods", "magic")


def test_sasrec_is_known_where_a_python_for_it_is_named(shop):
    with pytest.raises(SettingsError, match="no method sasrec"):
        run("--dataset", f"online-retail:{shop}", "--methods", "sasrec")
    with pytest.raises(SettingsError, match=r"must be a Python with rectools\[torch\]"):
        run("--dataset", f"online-retail:{shop}", "--methods", "sasrec", "--sasrec-python", shop / "none")


def test_what_is_not_installed_is_left_out_with_a_reason(shop, monkeypatch):
    monkeypatch.setattr(evaluate_progressive, "find_spec", lambda name: None)
    result = CliRunner().invoke(
        evaluate, ["--dataset", f"online-retail:{shop}", "--json"], catch_exceptions=False
    )
    assert "left out: als needs implicit: pip install 'freshet[bench]'" in result.stderr
    assert "left out: decayed-text needs torch" in result.stderr
    named = [json.loads(line)["method"] for line in result.stdout.splitlines()]
    assert named == [name for name in BASELINES if name not in ("als", "decayed-text")]


def test_a_model_gives_texts_and_diversity(shop, untrained_model):
    options = ["--model", untrained_model, "--methods", "decayed-text,popularity", "--json"]
    found = [json.loads(line) for line in run("--dataset", f"online-retail:{shop}", *options).splitlines()]
    assert [0 < row["all"]["diversity_at_10"] < 1.5 for row in found] == [True, True]


def test_a_plot_without_matplotlib_is_one_clear_line(shop, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SettingsError, match=r"pip install 'freshet\[bench\]'"):
        run("--dataset", f"online-retail:{shop}", "--plot", shop / "x.svg")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (Output(False, None, Path("x.pdf")), "writes .png or .svg, not .pdf"),
        (Output(False, Path("none/x.md"), None), "no folder none"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_the_work(output, message):
    with pytest.raises(SettingsError, match=message):
        check_output(output)


ROWS = [
    {"method": "a", "ndcg_at_10": 0.25, "ndcg_at_10_low": 0.2, "ndcg_at_10_high": 0.3, "novelty_at_10": 9.0},
    {"method": "b"},
]


def test_markdown_has_a_table_a_group_and_a_dash_where_there_is_no_figure():
    text = as_markdown(Report("Title", {"all": ROWS, "new": ROWS[:1]}, ["a note"]))
    assert text.splitlines() == [
        "# Title",
        "",
        "## all",
        "",
        "| method | ndcg@10 | novelty |",
        "| --- | ---: | ---: |",
        "| a | 0.2500 [0.200, 0.300] | 9.0000 |",
        "| b | – | – |",
        "",
        "## new",
        "",
        "| method | ndcg@10 | novelty |",
        "| --- | ---: | ---: |",
        "| a | 0.2500 [0.200, 0.300] | 9.0000 |",
        "",
        "* a note",
    ]


@pytest.mark.parametrize(("name", "start"), [("x.png", b"\x89PNG"), ("x.svg", b"<?xml")])
def test_a_plot_is_drawn(tmp_path, name, start):
    pytest.importorskip("matplotlib", reason="the extra `bench` is not installed")
    report = Report("Title", {"all": ROWS, "known": ROWS, "new": ROWS, "none": ROWS[1:]})
    write_report(report, Output(True, None, tmp_path / name))
    assert (tmp_path / name).read_bytes().startswith(start)


FAKE = """
import sys
import numpy as np
given = np.load(sys.argv[2])
q = len(given["offsets"]) - 1
last = [given["history"][end - 1] if end > start else -1
        for start, end in zip(given["offsets"], given["offsets"][1:])]
lists = np.full((q, int(given["k"])), -1)
lists[:, 0] = last
for epochs in given["epochs"]:
    np.save(f"{sys.argv[3]}/{epochs}.npy", lists)
    print(f"{sys.argv[3]}/{epochs}.npy", flush=True)
"""


@pytest.fixture
def fake_python(shop: Path) -> Path:
    """In place of RecTools: whatever the script, recommend the last item of each history that was sent."""
    (shop / "fake.py").write_text(FAKE)
    python = shop / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {shop / "fake.py"} "$@"\n')
    python.chmod(0o755)
    return python


def test_lists_of_another_environment_are_replayed_like_the_others(shop, fake_python):
    options = ["--methods", "sasrec", "--sasrec-python", fake_python, "--json"]
    (line,) = run("--dataset", f"online-retail:{shop}", *options).splitlines()
    found = json.loads(line)
    assert found["method"] == "sasrec"
    assert found["all"]["hit_rate_at_10"] > 0


def test_sasrec_is_tuned_like_the_others(shop, fake_python):
    options = ["--methods", "sasrec", "--sasrec-python", fake_python, "--tune", "--json"]
    result = CliRunner().invoke(
        evaluate, ["--dataset", f"online-retail:{shop}", *map(str, options)], catch_exceptions=False
    )
    assert set(json.loads(result.stdout)["settings"]) >= {"factors", "length", "epochs"}
    assert "'own': 16.0" in result.stderr


def test_the_ablation_needs_a_model(shop):
    with pytest.raises(SettingsError, match="name it with --model"):
        run("--dataset", f"online-retail:{shop}", "--ablation")


def test_the_ablation_has_a_line_a_part(shop, untrained_model):
    options = ["--model", untrained_model, "--ablation", "--rows", "40", "--epochs", "1", "--json"]
    lines = [json.loads(line) for line in run("--dataset", f"online-retail:{shop}", *options).splitlines()]
    names = [line["method"] for line in lines]
    assert names[:3] == ["dense", "co-visitation", "fusion"]
    assert [f"ranker without {group}" for group in FEATURE_GROUPS] == names[3 : 3 + len(FEATURE_GROUPS)]
    assert len({line["all"]["cases"] for line in lines}) == 1


def test_the_offline_copy_ranks_as_the_running_pipeline_does(shop, untrained_model):
    options = ["--model", untrained_model, "--methods", "freshet,two-stage", "--json"]
    lines = [json.loads(line) for line in run("--dataset", f"online-retail:{shop}", *options).splitlines()]
    running, copy = (line["all"]["ndcg_at_10"] for line in lines)
    assert copy == pytest.approx(running, rel=0.01)


def test_the_running_pipeline_is_a_method_where_a_model_is_named(shop, untrained_model):
    options = ["--model", untrained_model, "--methods", "freshet,popularity", "--json"]
    lines = [json.loads(line) for line in run("--dataset", f"online-retail:{shop}", *options).splitlines()]
    assert [line["method"] for line in lines] == ["freshet", "popularity"]
    assert lines[0]["all"]["cases"] == lines[1]["all"]["cases"]
    assert lines[0]["all"]["recall_at_10"] > 0
