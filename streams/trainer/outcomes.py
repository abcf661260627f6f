"""What became of each request, one file each: a request that has an outcome is never done again."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from encoders.errors import ModelError
from encoders.gate.plot import plot_report
from encoders.gate.report import GateReport, as_markdown
from exporters.model_store import load_model, point_latest
from streams.messages import TrainingRequest
from streams.trainer.verdict import CANDIDATES, Verdict, write_json

Status = Literal["released", "rejected", "refused", "failed"]
STATUSES: tuple[Status, ...] = ("released", "rejected", "refused", "failed")
Release = Callable[[Path, GateReport], int]
"""Publishes the version in a folder with its report; returns the number. Doing so again changes nothing."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a request ended."""

    request_id: str
    model: str
    parent: str
    status: Status
    sentence: str
    version: str = ""
    """Of the candidate, released or rejected."""
    number: int = 0
    """Of the release."""
    report: str = ""
    """Its name in ``reports``, without an ending."""
    seconds: float = 0.0
    events: int = 0
    older: int = 0
    skipped: dict[str, int] = {}
    finished_at: int = 0
    """Milliseconds since 1970-01-01 UTC."""


class Outcomes:
    """The records in ``<models>/requests`` and the reports in ``<models>/reports``."""

    def __init__(self, models: Path) -> None:
        self._models = models

    @staticmethod
    def name_of(request_id: str) -> str:
        """A file name for a request, whatever its id."""
        return hashlib.sha256(request_id.encode(errors="surrogatepass")).hexdigest()[:16]

    def find(self, request_id: str) -> Outcome | None:
        """What became of a request; ``None`` where it has no outcome yet."""
        try:
            found = msgspec.json.decode(self._path(request_id).read_bytes(), type=Outcome)
        except (OSError, msgspec.MsgspecError):
            return None
        return found if found.request_id == request_id else None

    def conclude(
        self,
        request: TrainingRequest,
        verdict: Verdict,
        seconds: float,
        work: Path,
        release: Release,
        *,
        keep_rejected: bool,
    ) -> Outcome:
        """Release what passed, write the report, then record the outcome; may be repeated when interrupted.

        A rejected version is left in ``work``, unless it is to be kept; ``latest`` names released versions
        alone. Raises what ``release`` raises, and ``OSError``.
        """
        number, report = 0, verdict.report
        # Without a candidate it is not the champion's report that is written.
        name = verdict.candidate or self.name_of(request.request_id)
        if report is not None:
            self._write_report(report, name)
            if verdict.candidate and (report.passed or keep_rejected):
                folder = self._adopt(work / CANDIDATES / verdict.candidate)
                if report.passed:
                    number = release(folder, report)
                    point_latest(self._models, folder.name)
        outcome = Outcome(
            request_id=request.request_id,
            model=request.model,
            parent=request.parent,
            status="released" if verdict.status == "passed" else verdict.status,
            sentence=verdict.sentence,
            version=verdict.candidate,
            number=number,
            report=name if report is not None else "",
            seconds=seconds,
            events=verdict.events,
            older=verdict.older,
            skipped=verdict.skipped,
            finished_at=time.time_ns() // 1_000_000,
        )
        write_json(self._path(request.request_id), outcome)
        return outcome

    def _path(self, request_id: str) -> Path:
        return self._models / "requests" / f"{self.name_of(request_id)}.json"

    def _write_report(self, report: GateReport, name: str) -> None:
        """JSON, Markdown and, where matplotlib is, a picture."""
        folder = self._models / "reports"
        write_json(folder / f"{name}.json", report)
        drawn = plot_report(report, folder / f"{name}.png")
        text = as_markdown(report, f"{name}.png" if drawn else None)
        (folder / f"{name}.md").write_text(text, encoding="utf-8")

    def _adopt(self, staged: Path) -> Path:
        """Move a version among the models, unless it is there already."""
        folder = self._models / staged.name
        if staged.is_dir():
            if folder.is_dir() and not _whole(folder):
                shutil.rmtree(folder)
            if not folder.is_dir():
                staged.rename(folder)
        return folder


def _whole(folder: Path) -> bool:
    try:
        load_model(folder)
    except ModelError:
        return False
    return True
