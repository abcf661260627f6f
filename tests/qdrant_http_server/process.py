"""Start ``server.py`` as a process of its own, and talk to its control endpoints."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

SCRIPT = Path(__file__).with_name("server.py")


@dataclass
class QdrantHttpServer:
    """A running server: where it listens, and its process."""

    url: str
    process: subprocess.Popen[str]

    def fail(self, share: float = 1.0, **faults: Any) -> None:
        """Make calls fail from now on (see ``Faults`` in ``server.py``) and count calls anew."""
        self._control("POST", "/_faults", json={"share": share, **faults})

    def behave(self) -> None:
        """No faults from now on; counts calls anew."""
        self.fail(0.0)

    def reset(self) -> None:
        """Forget every collection and fault."""
        self._control("POST", "/_reset")

    def calls(self) -> dict[str, int]:
        """Calls since faults were last set, by path; ``faults`` counts those that were made to fail."""
        counted: dict[str, int] = self._control("GET", "/_calls").json()
        return counted

    def _control(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, verify=False, trust_env=False, **options)


@contextmanager
def qdrant_http_server(path: Path, *options: str, scheme: str = "http") -> Iterator[QdrantHttpServer]:
    """Run the server on the folder ``path`` with more command-line ``options`` until the block ends."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--path", str(path), *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        ready = process.stdout.readline().split()
        assert ready[:1] == ["ready"], f"the Qdrant stand-in did not start: {ready}"
        yield QdrantHttpServer(f"{scheme}://127.0.0.1:{ready[1]}", process)
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()
