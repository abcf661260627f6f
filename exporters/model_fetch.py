"""Model versions from anywhere: a folder that fsspec reads becomes a verified folder on this machine.

Nothing of it is believed before its digest is right: first the manifest (by the digest that the release
names), then each file by the manifest. Sizes are bounded before anything is read.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import fsspec

from encoders.errors import ModelCorrupt, ModelNotFound, ReleaseRefused
from exporters.model_manifest import MANIFEST, MAX_JSON_BYTES, FileEntry, Manifest, decode_manifest

MAX_MODEL_BYTES = 4 * 1024**3
CHUNK = 1024 * 1024
KEPT_VERSIONS = 4
"""Folders left in the cache; the one loaded last counts."""
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Fetched(NamedTuple):
    """A version's folder on this machine, and what its manifest says."""

    folder: Path
    manifest: Manifest
    digest: str
    """SHA-256 of the manifest's bytes."""
    uri: str
    """Where it came from, absolute."""


def describe(uri: str) -> Manifest:
    """The manifest of a version's folder; raises ``ModelNotFound`` or ``ModelCorrupt``."""
    return decode_manifest(_read_manifest(*_open(uri)[:2], uri), uri)


def fetch_model(uri: str, cache: Path, digest: str | None = None) -> Fetched:
    """Copy a version's folder into ``cache`` (``<version>-<digest>``), unless it is there, and verify it.

    Raises ``ReleaseRefused`` with the reason: ``unreadable``, ``digest`` (of the manifest, where ``digest``
    is given, or of a file), ``manifest``, ``path`` (a name that leaves the folder) or ``size``.
    """
    try:
        files, root, absolute = _open(uri)
        content = _read_manifest(files, root, uri)
    except ModelNotFound as error:
        raise ReleaseRefused("unreadable", str(error)) from error
    found = hashlib.sha256(content).hexdigest()
    if digest is not None and found != digest:
        raise ReleaseRefused("digest", f"the manifest at {uri} is not the one that was released")
    manifest = _checked(content, uri)
    folder = cache / f"{manifest.version}-{found[:16]}"
    if not folder.is_dir():
        _copy(files, root, manifest, content, folder, uri)
    folder.touch()
    _drop_old(cache, folder)
    return Fetched(folder, manifest, found, absolute)


def _checked(content: bytes, uri: str) -> Manifest:
    try:
        manifest = decode_manifest(content, uri)
    except ModelCorrupt as error:
        raise ReleaseRefused("manifest", str(error)) from error
    outside = [name for name in manifest.files if not _FILE_NAME.fullmatch(name)]
    if outside:
        raise ReleaseRefused("path", f"the manifest at {uri} names {outside[0]!r}: no file of its folder")
    if sum(entry.bytes for entry in manifest.files.values()) > MAX_MODEL_BYTES:
        raise ReleaseRefused("size", f"the model at {uri} is larger than {MAX_MODEL_BYTES} bytes")
    return manifest


def _open(uri: str) -> tuple[Any, str, str]:
    """File system, path in it, and the absolute location; a path without a scheme is one on this machine."""
    try:
        files, root = fsspec.url_to_fs(uri)
    except Exception as error:  # each file system raises its own kinds
        raise ModelNotFound(f"cannot read {uri}: {error}") from error
    return files, root, files.unstrip_protocol(root) if "://" in uri else root


def _read_manifest(files: Any, root: str, uri: str) -> bytes:
    try:
        with files.open(f"{root}/{MANIFEST}", "rb") as file:
            content: bytes = file.read(MAX_JSON_BYTES + 1)
    except Exception as error:
        raise ModelNotFound(f"no model at {uri}: {MANIFEST} cannot be read ({error})") from error
    if len(content) > MAX_JSON_BYTES:
        raise ModelNotFound(f"no model at {uri}: {MANIFEST} is larger than {MAX_JSON_BYTES} bytes")
    return content


def _copy(files: Any, root: str, manifest: Manifest, content: bytes, folder: Path, uri: str) -> None:
    """All files, each verified; the folder appears under its name only when it is whole."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".fetching-", dir=folder.parent))
    except OSError as error:
        raise ReleaseRefused("unreadable", f"cannot keep models in {folder.parent}: {error}") from error
    try:
        for name, entry in manifest.files.items():
            _copy_file(files, f"{root}/{name}", scratch / name, entry, uri)
        (scratch / MANIFEST).write_bytes(content)
        scratch.chmod(0o755)
        os.replace(scratch, folder)
    except OSError as error:
        if not folder.is_dir():  # else another process was first
            raise ReleaseRefused("unreadable", f"cannot copy {uri} to {folder}: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _copy_file(files: Any, source: str, target: Path, entry: FileEntry, uri: str) -> None:
    digest, left = hashlib.sha256(), entry.bytes + 1
    try:
        with files.open(source, "rb") as file, target.open("wb") as out:
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                digest.update(chunk)
                out.write(chunk)
    except Exception as error:
        raise ReleaseRefused("unreadable", f"{uri}: {target.name} cannot be copied: {error}") from error
    if left != 1 or digest.hexdigest() != entry.sha256:
        raise ReleaseRefused("digest", f"{uri}: {target.name} is not the file that was released")


def _drop_old(cache: Path, used: Path) -> None:
    """Keep the versions used last, so that the cache does not grow for ever."""
    kept = sorted((one for one in cache.iterdir() if one.is_dir()), key=lambda one: -one.stat().st_mtime)
    for folder in kept[KEPT_VERSIONS:]:
        if folder != used and not folder.name.startswith("."):
            shutil.rmtree(folder, ignore_errors=True)
