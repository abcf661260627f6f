"""The child in which one training runs: ``python -m streams.trainer.child FOLDER``.

It ends with the trainer's process: that holds the other end of its standard input. Progress goes to standard
output, a JSON array a line; the verdict into the folder.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from encoders.errors import FreshetError
from streams.logs import configure_logging
from streams.settings import load_settings
from streams.trainer.verdict import TASK, VERDICT, Task, Verdict, write_json

NICENESS = 10
"""Whoever serves on the same machine comes first."""


def main(folder: Path) -> None:
    """Do the task in the folder and leave a verdict there."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICENESS)
    settings = load_settings()
    configure_logging(settings.log)
    with _alone(folder):
        task = msgspec.json.decode((folder / TASK).read_bytes(), type=Task)
        try:
            # Here, since it loads torch: a fault of that is a verdict, too.
            from streams.trainer.job import replayed_window, train

            champion = Path(task.champion)
            verdict = train(champion, lambda: replayed_window(task, settings, _tell), folder, settings, _tell)
        except FreshetError as error:
            verdict = Verdict(status="failed", sentence=str(error))
        write_json(folder / VERDICT, verdict)


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # Nothing is ever written: this returns when the other end is closed.
    os._exit(1)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other child works here: one whose trainer lost its lease may not know it yet."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tell(stage: str, done: int, total: int, note: str) -> None:
    print(msgspec.json.encode((stage, done, total, note)).decode(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
