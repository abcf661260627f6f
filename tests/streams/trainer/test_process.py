"""A training stays within its bounds, or is ended; whatever ends it, there is a verdict."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from streams.trainer.process import TrainingProcess
from streams.trainer.verdict import Task, Verdict
from tests.support.trainers import alive, command, request

TASK = Task(request=request(), champion="champion")


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


def verdict_of(folder: Path, command: tuple[str, ...], **bounds: float) -> Verdict:
    limits = {"max_seconds": 60.0, "max_memory_mb": 4_000} | bounds
    told: list[object] = []
    with TrainingProcess(folder, TASK, lambda *one: told.append(one), command=command, **limits) as process:  # type: ignore[arg-type]
        deadline = time.monotonic() + 60
        while (verdict := process.poll()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    return verdict


def test_the_childs_verdict_is_the_trainings(tmp_path: Path) -> None:
    assert verdict_of(tmp_path / "r", command(0.0)) == Verdict(
        status="rejected", sentence="as told", events=7
    )


@pytest.mark.parametrize(
    ("program", "bounds", "sentence"),
    [
        ("import time; time.sleep(60)", {"max_seconds": 0.2}, "MAX_SECONDS"),
        ("import time; x = b'x' * 300_000_000; time.sleep(60)", {"max_memory_mb": 200}, "MAX_MEMORY_MB"),
        ("import os; os.kill(os.getpid(), 9)", {}, "ended with -9"),
        ("raise ValueError", {}, "ended with 1"),
    ],
)
def test_a_training_beyond_its_bounds_or_broken_has_failed(
    tmp_path: Path, program: str, bounds: dict[str, float], sentence: str
) -> None:
    verdict = verdict_of(tmp_path / "r", python(program), **bounds)
    assert verdict.status == "failed"
    assert sentence in verdict.sentence


def test_progress_is_told_and_other_words_are_not(tmp_path: Path) -> None:
    told: list[tuple[str, int, int, str]] = []
    program = """print('a word'); print('["epoch", 1, 3, "note"]'); print('[1]')"""
    with TrainingProcess(
        tmp_path,
        TASK,
        lambda *one: told.append(one),
        max_seconds=60,
        max_memory_mb=4_000,
        command=python(program),
    ) as process:
        while process.poll() is None:
            time.sleep(0.02)
    assert told == [("epoch", 1, 3, "note")]


def test_a_verdict_of_an_earlier_try_is_not_believed(tmp_path: Path) -> None:
    verdict_of(tmp_path / "r", command(0.0))
    assert verdict_of(tmp_path / "r", python("pass")).status == "failed"


def test_no_child_is_left_behind(tmp_path: Path) -> None:
    with TrainingProcess(
        tmp_path, TASK, lambda *_: None, max_seconds=60, max_memory_mb=4_000, command=command(60.0)
    ) as process:
        pid = process._child.pid
        assert alive(pid)
    assert not alive(pid)
