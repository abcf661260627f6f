"""The Dockerfile: linted, and no wider than it must be. No container engine runs in this suite."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.deploy.chart import CASES, Rendered, template

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = (REPOSITORY / "deploy" / "Dockerfile").read_text()


def test_hadolint_finds_nothing() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.is_file() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint has a wheel for x86-64 Linux only, and is not on PATH")
    command = [hadolint, "--no-color", str(REPOSITORY / "deploy" / "Dockerfile")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_base_image_has_an_exact_version() -> None:
    (image,) = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", DOCKERFILE, re.M)
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", image)


def test_packages_come_with_the_versions_of_constraints_txt() -> None:
    installs = re.findall(r"uv pip install [^;&\n]*(?:\\\n[^;&\n]*)*", DOCKERFILE)
    free = [one for one in installs if "constraint" not in one and "==$(sed" not in one]
    assert free == ['uv pip install "$EXTRA_PACKAGE"']


def test_what_builds_the_package_is_pinned() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    pinned = {line.partition("==")[0] for line in (REPOSITORY / "constraints.txt").read_text().splitlines()}
    assert {re.split(r"[<>=]", one)[0] for one in project["build-system"]["requires"]} <= pinned


def test_the_build_sees_what_it_needs_and_nothing_else() -> None:
    lines = (REPOSITORY / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = [
        "constraints.txt",
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
    ]
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {*packages, *files}


def test_the_serving_image_has_no_torch() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.M)
    serving = [stage for stage in stages if re.match(r"\S+ AS (build|serving\S*|runtime)\n", stage)]
    assert len(serving) == 5
    assert not [stage for stage in serving if "--extra train" in stage or "torch==" in stage]


@pytest.mark.parametrize("target", ["serving", "trainer"])
def test_an_image_runs_as_the_user_of_the_chart_and_is_probed(target: str) -> None:
    (stage,) = re.findall(rf"^FROM runtime AS {target}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.M | re.S)
    assert "HEALTHCHECK" in stage
    rendered = Rendered(template(CASES["small"]).stdout)
    _, spec = next(rendered.pods())
    user = spec["securityContext"]["runAsUser"]
    assert f"USER {user}:{spec['securityContext']['runAsGroup']}\n" in DOCKERFILE
