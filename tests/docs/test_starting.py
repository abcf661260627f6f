"""The pages' first commands as a reader gives them, from the first line on."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.docs.pages import blocks
from tests.support.workers import REPOSITORY, clean_environment, free_port

SECONDS = 1_500
"""The first model is made, the trainer trains: on a busy machine minutes become many."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(SECONDS + 60),
    pytest.mark.skipif("FRESHET_SLOW" not in os.environ, reason="takes minutes: set FRESHET_SLOW=1"),
]

README = REPOSITORY / "README.md"
QUICKSTART = REPOSITORY / "docs" / "quickstart.md"
DEMOS = re.findall(r"^make demo ARGS=[^#\n]*", README.read_text(), re.MULTILINE)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder in which the commands find what they would in a clone, installed already."""
    environment = Path(sys.prefix)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "deploy"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / ".venv").symlink_to(environment)
    if subprocess.run(["make", "--question", "install"], cwd=tmp_path).returncode:
        pytest.skip(f"make install did not make {environment}")
    return tmp_path


def run(script: str, folder: Path, **settings: object) -> str:
    """What a shell prints that stops at the first command that fails; nothing of it is left behind."""
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    errors = folder / "errors.log"
    with errors.open("w") as log:
        shell = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment(**settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        printed = shell.communicate(timeout=SECONDS)[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
        shell.wait(60)
    assert shell.returncode == 0, f"{script}\n{errors.read_text()[-3_000:]}"
    return printed


@pytest.mark.parametrize("command", DEMOS)
def test_a_demo_of_the_readme_accounts_for_every_event(clone: Path, command: str) -> None:
    report = json.loads(run(command, clone).splitlines()[-1])
    accounted = report["events_applied"] + report["duplicates"] + report["dead_letters"]
    assert report["events_sent"] == accounted == int(re.findall(r"--events (\d+)", command)[0])
    assert report["recall_at_10"] > report["recall_at_10_popularity"]


@pytest.mark.kafka
def test_the_quickstart_runs_from_its_first_line_to_its_last(clone: Path, kafka_installed: None) -> None:
    wanted = [
        block for block in blocks(QUICKSTART) if block.words[:1] == ("sh",) and "make demo" not in block.text
    ]
    runs = [block.text for block in wanted if all(shutil.which(tool) for tool in block.words[2:])]
    kafka, http = free_port(), free_port()
    # A reader, unlike this shell, takes a moment between two blocks.
    script = "sleep 5\n".join([*runs, "kill %1 %2\nwait\n"])
    script = script.replace("freshet broker --kafka", f"freshet broker --kafka --port {kafka}")
    script = script.replace("127.0.0.1/9092", f"127.0.0.1/{kafka}")
    script = script.replace("127.0.0.1:9092", f"127.0.0.1:{kafka}").replace(
        "127.0.0.1:8080", f"127.0.0.1:{http}"
    )
    printed = run(script, clone, KAFKA__BOOTSTRAP_SERVERS=f"127.0.0.1:{kafka}", HTTP__PORT=http)
    changed = printed.partition('"basis"')[2]
    assert re.findall(r"tea-cups|black-tea", changed)
