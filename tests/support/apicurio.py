"""A real schema registry for slow tests: Apicurio, fetched once by Maven, in memory and on loopback."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from encoders.errors import BrokerError
from streams.kafka.jars import find_java
from tests.support.workers import free_port

VERSION = "2.6.13.Final"
"""The last that Maven can resolve and Java 17 run: 3.0 lacks its parent on Maven Central, 3.3 asks for 21."""
_UNPACK = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack"


@contextmanager
def apicurio(log: Path) -> Iterator[str]:
    """The address of its Confluent-compatible interface; skips the test, with the reason, where none runs."""
    folder, port = _installed(), free_port()
    settings = {"QUARKUS_HTTP_HOST": "127.0.0.1", "QUARKUS_HTTP_PORT": str(port)}
    command = [_java(), "-Xmx512m", "-jar", str(folder / f"apicurio-registry-app-{VERSION}-runner.jar")]
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, env=os.environ | settings, cwd=folder, stdout=out, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    try:
        _wait_for(f"{url}/subjects", server, log)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _java() -> str:
    try:
        return find_java()
    except BrokerError as error:
        pytest.skip(str(error))


def _installed() -> Path:
    cache = Path(os.environ.get("FRESHET_TOOLS") or Path.home() / ".cache" / "freshet" / "tools")
    folder = cache / f"apicurio-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            _install(folder)
            (folder / "installed").touch()
    return folder


def _install(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        pytest.skip("Apicurio is fetched by Maven, and mvn is not on PATH")
    artifact = f"-Dartifact=io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
    command = [maven, "--batch-mode", "--quiet", _UNPACK, artifact, f"-DoutputDirectory={folder}"]
    # Where it runs, it leaves a folder of its own.
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"Maven cannot fetch Apicurio: {done.stdout.strip()[:300]}")


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(url, timeout=5.0).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"Apicurio does not start:\n{log.read_text()[-3_000:]}")
