"""What a training came to, as the child leaves it in its folder for the trainer's process."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from encoders.gate.report import GateReport
from streams.codec import Reason
from streams.messages import TrainingRequest
from streams.settings import Settings

TASK, VERDICT, CANDIDATES = "task.json", "verdict.json", "models"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is to do; the settings it reads itself, so that no secret lies in a file."""

    request: TrainingRequest
    champion: str
    """Folder of the version that serves."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``passed`` and ``rejected`` have a report; ``refused`` has a reason; all have a sentence."""

    status: Literal["passed", "rejected", "refused", "failed"]
    sentence: str
    reason: Reason | None = None
    candidate: str = ""
    """The version, whose folder is in ``models`` beside this file."""
    report: GateReport | None = None
    items: int = 0
    events: int = 0
    older: int = 0
    skipped: dict[str, int] = {}


def work_folder(settings: Settings, name: str) -> Path:
    """Where one training works, on the file system of the models: its result is moved, not copied."""
    return settings.trainer.models / ".training" / name


def write_json(path: Path, value: msgspec.Struct) -> None:
    """Write a struct, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.new")
    try:
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2))
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def read_verdict(folder: Path) -> Verdict | None:
    """The child's answer, or ``None`` where it left none."""
    try:
        return msgspec.json.decode((folder / VERDICT).read_bytes(), type=Verdict)
    except (OSError, msgspec.MsgspecError):
        return None
