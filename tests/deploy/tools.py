"""Command-line tools of the suite that Go builds: found, or installed once at a pinned version."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PINNED = {
    "helm": "helm.sh/helm/v3/cmd/helm@v3.22.0",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0",
}


def tool(name: str) -> str:
    """Its path: on PATH, in the cache ($FRESHET_TOOLS, ~/.cache/freshet/tools), or built into that."""
    if found := shutil.which(name):
        return found
    folder = Path(os.environ.get("FRESHET_TOOLS") or Path.home() / ".cache" / "freshet" / "tools")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / name).is_file():
            _install(name, folder)
    return str(folder / name)


def _install(name: str, folder: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip(f"{name} is not on PATH, and neither is Go 1.26 to build it: install one of them")
    environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
    built = subprocess.run([go, "install", PINNED[name]], env=environment, capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"cannot build {PINNED[name]}: {built.stderr.strip().splitlines()[-1]}")
