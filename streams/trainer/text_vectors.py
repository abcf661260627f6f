"""Text vectors of a catalogue, kept between trainings: a text is encoded once for each text tower."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.progress import Progress, no_progress
from encoders.runtime import ServingModel

Vectors = npt.NDArray[np.float32]
STEP = 256
"""Texts encoded at a time."""
KEY_BYTES = 16
TEXTS = ".texts"
"""Folder of the trainer's vectors, among its models."""


class TextVectors:
    """A file for each text tower, named by its digest, in ``folder``; it holds the last catalogue's texts.

    A file that is damaged, or of vectors of another length, is made anew.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(
        self, model: ServingModel, digest: str, texts: Sequence[str], progress: Progress = no_progress
    ) -> Vectors:
        """Vectors [n, text_dim] of texts, by the text tower of ``model``, whose manifest says ``digest``."""
        path = self.folder / f"{digest[:16]}.npz"
        keys = [
            blake2b(text.encode(errors="surrogatepass"), digest_size=KEY_BYTES).digest() for text in texts
        ]
        known = _read(path, model.text_dim)
        first = {key: row for row, key in enumerate(keys) if key not in known}
        # Long and short texts apart: less padding.
        missing = sorted(first, key=lambda key: len(texts[first[key]]))
        for start in range(0, len(missing), STEP):
            part = missing[start : start + STEP]
            encoded = model.encode_texts([texts[first[key]] for key in part])
            known |= dict(zip(part, encoded, strict=True))
            progress("encode", start + len(part), len(missing), "")
        vectors = np.array([known[key] for key in keys], np.float32).reshape(len(keys), model.text_dim)
        if missing:
            _write(path, dict(zip(keys, vectors, strict=True)))
        return vectors


def _read(path: Path, text_dim: int) -> dict[bytes, Vectors]:
    try:
        with np.load(path, allow_pickle=False) as file:
            keys, vectors = file["keys"], file["vectors"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return {}
    if vectors.shape != (len(keys), text_dim) or vectors.dtype != np.float32:
        return {}
    return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}


def _write(path: Path, known: dict[bytes, Vectors]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new.npz")
    keys = np.frombuffer(b"".join(known), np.uint8).reshape(-1, KEY_BYTES)
    try:
        np.savez(scratch, keys=keys, vectors=np.array(list(known.values()), np.float32))
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
