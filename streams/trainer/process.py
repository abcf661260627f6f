"""The child process of one training, seen from the trainer: progress, bounds of time and memory, its end."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from encoders.progress import Progress
from streams.kafka.processes import end
from streams.trainer.verdict import TASK, VERDICT, Task, Verdict, read_verdict, write_json

COMMAND = (sys.executable, "-m", "streams.trainer.child")
GRACE_SECONDS = 2.0
MB = 1024 * 1024
RESIDENT = 1
"""Which number of ``statm``, in pages."""


class TrainingProcess:
    """One running training; a context manager that leaves no child behind."""

    def __init__(
        self,
        folder: Path,
        task: Task,
        progress: Progress,
        *,
        max_seconds: float,
        max_memory_mb: int,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._folder, self._progress = folder, progress
        self._max_seconds, self._max_memory_mb = max_seconds, max_memory_mb
        self._started = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / VERDICT).unlink(missing_ok=True)
        write_json(folder / TASK, task)
        self._child = subprocess.Popen([*command, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def poll(self) -> Verdict | None:
        """The verdict, or ``None`` while the child works within its bounds; beyond them it is ended."""
        if self._child.poll() is None:
            fault = self._fault()
            if fault is None:
                return None
            self.stop()
            return Verdict(status="failed", sentence=fault)
        self._reader.join(GRACE_SECONDS)
        return read_verdict(self._folder) or Verdict(
            status="failed", sentence=f"the training ended with {self._child.returncode}, see its log"
        )

    def stop(self) -> None:
        """End the child; what it has saved stays."""
        end(self._child, GRACE_SECONDS)

    def __enter__(self) -> TrainingProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def _fault(self) -> str | None:
        if time.monotonic() - self._started > self._max_seconds:
            return f"it took longer than FRESHET_TRAINER__MAX_SECONDS={self._max_seconds:.0f}"
        memory = _memory(self._child.pid)
        if memory > self._max_memory_mb * MB:
            return f"it took {memory // MB} MB; FRESHET_TRAINER__MAX_MEMORY_MB={self._max_memory_mb}"
        return None

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            try:
                stage, done, total, note = msgspec.json.decode(line, type=tuple[str, int, int, str])
            except msgspec.MsgspecError:
                continue  # A library's own words.
            self._progress(stage, done, total, note)


def _memory(pid: int) -> int:
    """Resident bytes of a process; 0 where the system has no /proc."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[RESIDENT]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0
