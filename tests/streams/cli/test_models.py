"""``freshet models`` without a broker: what it lists, what it refuses, what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from encoders.errors import BrokerUnavailable, ModelNotFound, ReleaseRefused
from exporters.model_store import resolve_model
from streams.cli.models import models
from streams.messages import ModelAt, ModelRelease
from streams.releases import release as module

VERSIONS = ("20260101-00000001", "20260102-00000002", "20260103-00000003")


def at(version: str, folder: Path) -> ModelAt:
    return ModelAt(version=version, uri=str(folder / version), digest="0" * 64)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for day, version in enumerate(VERSIONS, start=1):
        place = tmp_path / version
        place.mkdir()
        body = {
            "format_version": 1,
            "name": "freshet",
            "version": version,
            "created_at": f"2026-01-0{day}T00:00:00+00:00",
            "parent": None,
            "dim": 2,
            "text_dim": 2,
            "state_dim": 2,
            "opset": 18,
            "text_model": "none",
            "text_digest": "0" * 64,
            "trained": [],
            "data": {},
            "metrics": {},
            "files": {},
        }
        (place / "manifest.json").write_text(json.dumps(body))
    (tmp_path / "latest").write_text(VERSIONS[0])
    monkeypatch.setenv("FRESHET_MODEL__PATH", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(models, arguments)


def released(monkeypatch: pytest.MonkeyPatch, release: ModelRelease | None) -> None:
    found = {} if release is None else {"freshet": release}
    monkeypatch.setattr(module, "read_releases", lambda kafka: found)


def test_versions_are_listed_newest_first_with_their_roles(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = ModelRelease(
        model="freshet",
        number=3,
        champion=at(VERSIONS[1], folder),
        challenger=at(VERSIONS[2], folder),
        mode="canary",
        canary_share=0.1,
        lineage=[VERSIONS[0]],
        released_at=1,
    )
    released(monkeypatch, release)
    answer = json.loads(run("list", "--json").stdout)
    assert [(one["version"], one["role"]) for one in answer["versions"]] == [
        (VERSIONS[2], "canary 10%"),
        (VERSIONS[1], "champion"),
        (VERSIONS[0], "earlier champion"),
    ]
    assert answer["release"]["number"] == 3


def test_before_the_first_release_it_says_what_serves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released(monkeypatch, None)
    assert "workers serve what FRESHET_MODEL__PATH names" in run("list").stdout


def test_without_a_broker_the_versions_are_listed_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(kafka: object) -> None:
        raise BrokerUnavailable("no broker answers")

    monkeypatch.setattr(module, "read_releases", away)
    answer = run("list")
    assert VERSIONS[0] in answer.stdout
    assert "no broker answers" in answer.stdout


def test_a_version_is_shown_once_it_is_verified(
    untrained_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRESHET_MODEL__CACHE", str(tmp_path))
    version = resolve_model(untrained_model)
    assert json.loads(run("show", str(version), "--json").stdout)["version"] == version.name


def nothing_is_published(*_: object) -> None:
    raise AssertionError


@pytest.mark.parametrize("command", ["show", "promote"])
def test_a_damaged_version_is_neither_shown_nor_promoted(
    untrained_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(module, "publish", nothing_is_published)
    monkeypatch.setenv("FRESHET_MODEL__CACHE", str(tmp_path / "cache"))
    copy = tmp_path / "copy"
    shutil.copytree(resolve_model(untrained_model), copy)
    (copy / "item.onnx").write_bytes(b"")
    answer = run(command, str(copy))
    assert isinstance(answer.exception, ReleaseRefused)
    assert answer.exception.reason == "digest"


def test_a_version_that_is_not_there_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released(monkeypatch, None)
    answer = run("promote", "20990101-00000000")
    assert isinstance(answer.exception, ModelNotFound)
    assert "freshet models list" in str(answer.exception)


def test_a_challenger_is_one_of_two(folder: Path) -> None:
    answer = run("promote", VERSIONS[1], "--shadow", "--canary", "0.1")
    assert answer.exit_code == 2


@pytest.mark.parametrize("share", ["0", "1.5", "-1", "ten"])
def test_a_share_is_above_0_and_at_most_1(folder: Path, share: str) -> None:
    assert run("promote", VERSIONS[1], "--canary", share).exit_code == 2
