"""What the commands that make models share: a progress bar on stderr, and the import that needs torch."""

from __future__ import annotations

import importlib
from types import ModuleType, TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from encoders.errors import ModelError

_LABELS = {
    "replay": "replaying the window",
    "encode": "encoding texts",
    "epoch": "training, epochs",
    "batch": "this epoch",
    "step": "training, steps",
    "gate": "asking both models",
}


def import_factory() -> ModuleType:
    """Import ``exporters.model_factory``; raises ``ModelError`` where the extra ``train`` is missing."""
    try:
        return importlib.import_module("exporters.model_factory")
    except ModuleNotFoundError as error:
        raise ModelError(f"making models needs {error.name}: pip install 'freshet[train]'") from error


class TrainingBar:
    """A rich bar for each stage; ``update`` is a ``Progress`` callback of the training."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> TrainingBar:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def update(self, stage: str, done: int, total: int, note: str) -> None:
        """Show ``done`` of ``total`` of a stage, with a note behind the bar."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(_LABELS.get(stage, stage), total=total, note=note)
        self._bars.update(self._tasks[stage], completed=done, total=total, note=note)
