"""A version from anywhere: nothing is believed before its digest is right, nothing leaves its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from encoders.errors import ModelNotFound, ReleaseRefused
from exporters import model_fetch
from exporters.model_fetch import describe, fetch_model
from exporters.model_manifest import MANIFEST
from tests.support.full_disk import fill_up, small_disk

FILES = {"config.json": b"{}", "item.onnx": b"graph" * 1000}


def manifest(**changes: Any) -> bytes:
    files = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in FILES.items()
    }
    body = {
        "format_version": 1,
        "name": "freshet",
        "version": "20260101-00000001",
        "created_at": "2026-01-01T00:00:00+00:00",
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
        "files": files,
    }
    return json.dumps(body | changes).encode()


@pytest.fixture
def version(tmp_path: Path) -> Path:
    folder = tmp_path / "version"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST).write_bytes(manifest())
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def reason_of(call: Callable[[], object]) -> str:
    with pytest.raises(ReleaseRefused) as refused:
        call()
    return refused.value.reason


def test_a_folder_is_copied_whole(version: Path, cache: Path) -> None:
    fetched = fetch_model(str(version), cache)
    assert fetched.digest == hashlib.sha256(manifest()).hexdigest()
    held = {path.name: path.read_bytes() for path in fetched.folder.iterdir()}
    assert held == {**FILES, MANIFEST: manifest()}


def test_any_location_that_fsspec_reads_will_do(cache: Path) -> None:
    files = fsspec.filesystem("memory")
    for name, content in {**FILES, MANIFEST: manifest()}.items():
        files.pipe(f"/models/one/{name}", content)
    assert fetch_model("memory://models/one", cache).manifest.version == "20260101-00000001"


def test_what_is_in_the_cache_is_not_fetched_again(version: Path, cache: Path) -> None:
    first = fetch_model(str(version), cache)
    (version / "item.onnx").unlink()
    assert fetch_model(str(version), cache).folder == first.folder


def test_what_lies_beside_the_named_files_is_left_there(version: Path, cache: Path) -> None:
    (version / "weights.bin").write_bytes(b"not in the manifest")
    assert not (fetch_model(str(version), cache).folder / "weights.bin").exists()


def test_the_manifest_must_be_the_released_one(version: Path, cache: Path) -> None:
    assert reason_of(lambda: fetch_model(str(version), cache, "0" * 64)) == "digest"
    assert not cache.exists()


@pytest.mark.parametrize("content", [b"", b"grap", b"other" * 1000, b"graph" * 1000 + b"!"])
def test_a_file_must_be_the_one_of_the_manifest(version: Path, cache: Path, content: bytes) -> None:
    (version / "item.onnx").write_bytes(content)
    assert reason_of(lambda: fetch_model(str(version), cache)) == "digest"
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", ["../escaped", "/etc/passwd", "sub/file", "..", ".hidden", "a\\b", ""])
def test_a_name_that_leaves_the_folder_is_refused(version: Path, cache: Path, name: str) -> None:
    entry = {"sha256": "0" * 64, "bytes": 1}
    (version / MANIFEST).write_bytes(manifest(files={name: entry}))
    assert reason_of(lambda: fetch_model(str(version), cache)) == "path"


def test_a_file_that_is_missing_is_unreadable(version: Path, cache: Path) -> None:
    (version / "item.onnx").unlink()
    assert reason_of(lambda: fetch_model(str(version), cache)) == "unreadable"


@pytest.mark.parametrize("uri", ["/nowhere/at/all", "unknown-scheme://x/y", "memory://nothing/here"])
def test_an_unknown_location_is_unreadable(cache: Path, uri: str) -> None:
    assert reason_of(lambda: fetch_model(uri, cache)) == "unreadable"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", manifest(format_version=99), manifest(files=7)])
def test_what_is_no_manifest_is_refused(version: Path, cache: Path, content: bytes) -> None:
    (version / MANIFEST).write_bytes(content)
    assert reason_of(lambda: fetch_model(str(version), cache)) == "manifest"


def test_a_manifest_without_end_is_not_read(
    version: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_fetch, "MAX_JSON_BYTES", 100)
    assert reason_of(lambda: fetch_model(str(version), cache)) == "unreadable"


def test_a_model_that_is_too_large_is_not_fetched(
    version: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_fetch, "MAX_MODEL_BYTES", 100)
    assert reason_of(lambda: fetch_model(str(version), cache)) == "size"


def test_the_cache_keeps_the_versions_used_last(version: Path, cache: Path) -> None:
    folders = []
    for number in range(model_fetch.KEPT_VERSIONS + 2):
        (version / MANIFEST).write_bytes(manifest(version=f"v{number}"))
        folders.append(fetch_model(str(version), cache).folder)
    kept = {path.name for path in cache.iterdir()}
    assert len(kept) == model_fetch.KEPT_VERSIONS
    assert folders[-1].name in kept


def test_a_version_is_described_without_fetching_it(version: Path) -> None:
    assert describe(str(version)).version == "20260101-00000001"


def test_where_there_is_no_version_there_is_nothing_to_describe(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        describe(str(tmp_path))


def test_a_full_cache_is_said_and_keeps_nothing_half_copied(version: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as cache:
        ballast = fill_up(cache, but_for=4_096)
        with pytest.raises(ReleaseRefused, match="No space left on device") as caught:
            fetch_model(str(version), cache)
        assert caught.value.reason == "unreadable"
        assert list(cache.iterdir()) == [ballast]
        ballast.unlink()
        assert fetch_model(str(version), cache).folder.is_dir()
