"""A training that takes as long as it is told to, and leaves a verdict: in the place of the real child.

``python training_child.py SECONDS FOLDER``; it notes in ``FOLDER/../log`` when it starts and when it is done.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path


def main(seconds: float, folder: Path) -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    note(folder, "started")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        print('["epoch", 1, 2, ""]', flush=True)
        time.sleep(0.05)
    scratch = folder / "verdict.new"
    scratch.write_text('{"status": "rejected", "sentence": "as told", "events": 7}')
    scratch.replace(folder / "verdict.json")
    note(folder, "done")


def note(folder: Path, what: str) -> None:
    with (folder.parent / "log").open("a") as log:
        log.write(f"{what} {os.getpid()} {os.getppid()}\n")


def end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]))
