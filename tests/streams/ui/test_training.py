"""The last training, read from the trainer's folder, whatever else lies there."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from encoders.gate.report import encode_report, refusal
from streams.trainer.outcomes import Outcome
from streams.ui.training import MAX_BYTES, last_training


def conclude(models: Path, name: str, at: int, **fields: str) -> None:
    """A trainer's record of a request, and its report."""
    outcome = Outcome(request_id=name, model="m", parent="v1", status="rejected", sentence=name, **fields)
    for folder, content in (
        ("requests", msgspec.json.encode(outcome)),
        ("reports", encode_report(refusal("v1", "v2", "spread", "too narrow"))),
    ):
        (models / folder).mkdir(exist_ok=True)
        (models / folder / f"{name}.json").write_bytes(content)
    os.utime(models / "requests" / f"{name}.json", (at, at))


def test_the_latest_is_told_with_the_checks_of_its_gate(tmp_path: Path) -> None:
    conclude(tmp_path, "newer", 2, report="newer")
    conclude(tmp_path, "older", 1, report="older")
    found = last_training(tmp_path)
    assert found is not None
    assert found["sentence"] == "newer"
    assert [one["name"] for one in found["checks"]] == ["spread"]


def test_before_the_first_there_is_none(tmp_path: Path) -> None:
    assert last_training(tmp_path) is None
    assert last_training(tmp_path / "missing") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b" " * (MAX_BYTES + 1)])
def test_a_file_that_cannot_be_read_is_passed_over(tmp_path: Path, content: bytes) -> None:
    conclude(tmp_path, "good", 1)
    (tmp_path / "requests" / "bad.json").write_bytes(content)
    found = last_training(tmp_path)
    assert found is not None
    assert found["sentence"] == "good"


def test_a_report_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    conclude(tmp_path, "sly", 1, report="../reports/sly")
    found = last_training(tmp_path)
    assert found is not None
    assert found["checks"] == []
