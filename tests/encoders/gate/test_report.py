from __future__ import annotations

import sys
from pathlib import Path

import pytest

from encoders.errors import DataError
from encoders.gate.plot import plot_report
from encoders.gate.report import (
    Check,
    GateReport,
    SliceSummary,
    as_markdown,
    decode_report,
    encode_report,
    refusal,
)

NEWEST = SliceSummary(
    name="newest",
    cases=300,
    users=120,
    champion_ndcg_at_10=0.1,
    challenger_ndcg_at_10=0.12,
    champion_hit_rate_at_10=0.2,
    challenger_hit_rate_at_10=0.22,
    difference=0.02,
    low=0.01,
    high=0.03,
    mcnemar_p=0.01,
)
COST = Check(name="cost", value=None, threshold=1.5, passed=False, sentence="no cost could be measured")
REPORT = GateReport(champion="v1", challenger="v2", passed=False, checks=[COST], slices=[NEWEST])


def test_a_report_comes_back_from_json() -> None:
    assert decode_report(encode_report(REPORT)) == REPORT


def test_what_is_no_report_is_one_line() -> None:
    with pytest.raises(DataError, match=r"^not a gate report"):
        decode_report(b'{"champion": 1}')


def test_a_person_reads_the_verdict_then_what_spoke_against_it() -> None:
    lines = as_markdown(REPORT).splitlines()
    assert lines[:3] == [
        "# v2 rejected, against v1",
        "",
        "- **cost: no cost could be measured (not a number, threshold 1.5)**",
    ]


def test_what_is_no_number_says_so() -> None:
    assert "| cost | not a number | 1.5 | **no** |" in as_markdown(REPORT)


def test_every_slice_has_its_interval() -> None:
    assert "| newest | 300 | 120 | 0.1 | 0.12 | 0.02 (0.01 to 0.03) |" in as_markdown(REPORT)


def test_a_refusal_fails_by_what_it_names() -> None:
    report = refusal("v1", "v2", "loads", "text.onnx is missing")
    assert (report.passed, [check.name for check in report.failed]) == (False, ["loads"])


def test_a_picture_is_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `bench` is not installed")
    assert plot_report(REPORT, tmp_path / "v2.png")
    assert (tmp_path / "v2.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_there_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not plot_report(REPORT, tmp_path / "v2.png")
    assert not list(tmp_path.iterdir())
