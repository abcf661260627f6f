"""Where the local Kafka's program comes from: a JDK of this machine, and jars that Maven resolves once.

The jars are named by ``pom.xml`` beside this file, so an installed package finds it as well as a clone.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from encoders.errors import BrokerError

POM = Path(__file__).with_name("pom.xml")
LEAST_JDK = 17
MAVEN_SECONDS = 900.0


def find_java() -> str:
    """Path of a ``java`` of version 17 or newer, from ``JAVA_HOME`` or ``PATH``; else ``BrokerError``."""
    advice = f"the local Kafka needs JDK {LEAST_JDK} or newer: install one, or set JAVA_HOME"
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if java is None:
        raise BrokerError(f"{advice} (found no java in {home or 'PATH'})")
    version = _java_version(java)
    if version < LEAST_JDK:
        raise BrokerError(f"{advice} (found version {version} at {java})")
    return java


def _java_version(java: str) -> int:
    # `java -version` writes to stderr: openjdk version "17.0.15" ...; before 9 it was "1.8.0_412".
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(match.group(1)) if match else 0


def find_jars() -> Path:
    """The folder with Kafka's jars: ``FRESHET_KAFKA_JARS``, or a cache that Maven fills when first needed.

    Raises ``BrokerError`` where Maven is missing or cannot resolve them.
    """
    folder = jars_folder()
    if not has_kafka(folder):
        _resolve(folder)
    return folder


def jars_folder() -> Path:
    """Where the jars are or will be. The cache is named by the pom's digest: another pom, another folder."""
    if "FRESHET_KAFKA_JARS" in os.environ:
        return Path(os.environ["FRESHET_KAFKA_JARS"]).absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    return cache / "freshet" / f"kafka-{kafka_version()}-{digest}"


def kafka_version() -> str:
    """The version of Apache Kafka that the pom names."""
    match = re.search(r"<kafka.version>([^<]+)<", POM.read_text())
    assert match is not None
    return match.group(1)


def has_kafka(folder: Path) -> bool:
    """Whether the folder holds the broker's jar."""
    return any(folder.glob("kafka_2.13-*.jar"))


def _resolve(folder: Path) -> None:
    """Fill the folder by Maven, all or nothing, so that an interrupted download leaves no half broker."""
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerError(
            "the local Kafka needs Maven once, to fetch its jars: install it (`mvn` in PATH),"
            " or put the jars into a folder and name it in FRESHET_KAFKA_JARS"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kafka-jars-", dir=folder.parent) as scratch:
        jars = Path(scratch) / "jars"
        _run_maven(maven, jars)
        _move(jars, folder)


def _run_maven(maven: str, target: Path) -> None:
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    done = subprocess.run(
        [maven, "--batch-mode", "--quiet", "--file", str(POM), *goal],
        capture_output=True,
        text=True,
        timeout=MAVEN_SECONDS,
        check=False,
    )
    if done.returncode != 0 or not has_kafka(target):
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        raise BrokerError(f"Maven could not fetch Kafka's jars: {said[0] if said else 'it said nothing'}")


def _move(jars: Path, folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    try:
        jars.rename(folder)
    except OSError:
        # Another process was first: its jars are the same.
        if not has_kafka(folder):
            raise BrokerError(f"cannot put Kafka's jars into {folder}: it holds something else") from None
