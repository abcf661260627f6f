"""Command-line tools of the suite: found, or installed once by Go at a pinned version."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

PINNED = {
    "helm": "helm.sh/helm/v3/cmd/helm@v3.22.0",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0",
    # What Docker Compose loads a file with, as a command.
    "compose-spec": "github.com/compose-spec/compose-go/v2/cmd@v2.16.2",
}

PACKAGED = {"prometheus": "prometheus", "promtool": "prometheus"}


def tool(name: str) -> str:
    """Its path: on PATH, in the cache ($FRESHET_TOOLS, ~/.cache/freshet/tools), or built into that.

    Skips the test, with the reason, where none of it goes.
    """
    path, reason = _find(name)
    if reason:
        pytest.skip(reason)
    return path


@cache
def _find(name: str) -> tuple[str, str]:
    """Path, or why there is none."""
    if found := shutil.which(name):
        return found, ""
    if name in PACKAGED:
        return "", f"{name} is not on PATH: install the package {PACKAGED[name]} (Debian, Ubuntu)"
    folder = Path(os.environ.get("FRESHET_TOOLS") or Path.home() / ".cache" / "freshet" / "tools")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reason = "" if (folder / name).is_file() else _install(name, folder)
    return str(folder / name), reason


def _install(name: str, folder: Path) -> str:
    """Build a tool; empty, or why that did not go."""
    go = shutil.which("go")
    if go is None:
        return f"{name} is not on PATH, and neither is Go 1.26 to build it: install one of them"
    with TemporaryDirectory(dir=folder) as scratch:
        environment = {**os.environ, "GOBIN": scratch, "CGO_ENABLED": "0"}
        built = subprocess.run([go, "install", PINNED[name]], env=environment, capture_output=True, text=True)
        if built.returncode:
            return f"cannot build {PINNED[name]}: {built.stderr.strip()[-300:]}"
        (binary,) = Path(scratch).iterdir()
        binary.rename(folder / name)
    return ""
