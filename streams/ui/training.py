"""The last training and its gate's report, from the folder of models where that is at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from encoders.errors import DataError
from encoders.gate.report import GateReport, decode_report
from streams.trainer.outcomes import Outcome

MAX_BYTES = 1024 * 1024


def last_training(models: Path) -> dict[str, Any] | None:
    """How the last request for a training ended, with the checks of its gate; ``None`` before the first.

    A file that cannot be read is passed over.
    """
    try:
        files = sorted((models / "requests").glob("*.json"), key=lambda one: one.stat().st_mtime_ns)
    except OSError:
        return None
    for file in reversed(files):
        outcome = _outcome(file)
        if outcome is not None:
            return _facts(outcome, _report(models, outcome))
    return None


def _facts(outcome: Outcome, report: GateReport | None) -> dict[str, Any]:
    newest = report.slices[0] if report and report.slices else None
    return {
        "status": outcome.status,
        "sentence": outcome.sentence,
        "version": outcome.version,
        "parent": outcome.parent,
        "events": outcome.events,
        "seconds": outcome.seconds,
        "finished_at": outcome.finished_at,
        "checks": [msgspec.to_builtins(check) for check in report.checks] if report else [],
        "ndcg": newest and newest.challenger_ndcg_at_10,
        "champion_ndcg": newest and newest.champion_ndcg_at_10,
    }


def _outcome(file: Path) -> Outcome | None:
    content = _read(file)
    try:
        return msgspec.json.decode(content, type=Outcome) if content else None
    except msgspec.MsgspecError:
        return None


def _report(models: Path, outcome: Outcome) -> GateReport | None:
    # A name with a slash would lead out of the folder.
    if not outcome.report or Path(outcome.report).name != outcome.report:
        return None
    content = _read(models / "reports" / f"{outcome.report}.json")
    try:
        return decode_report(content) if content else None
    except DataError:
        return None


def _read(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError:
        return None
    return content if len(content) <= MAX_BYTES else None
