"""Texts to vectors with an ONNX graph and a tokenizer file: no torch, no transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Tokenizer

Matrix = npt.NDArray[np.float32]

BATCH = 32
"""Texts a run: more gains nothing on a CPU, because short and long texts would be padded together."""
MAX_CHARACTERS = 32_768
"""Read of one text before tokenizing: a bound on work; tokens beyond the model's limit are cut anyway."""


class TextEncoder:
    """Encodes texts to unit vectors [n, text_dim]; pooling and normalisation are inside the graph."""

    def __init__(self, tokenizer: Tokenizer, session: ort.InferenceSession) -> None:
        """``tokenizer`` truncates and pads by itself, as ``tokenizer.json`` says."""
        self._tokenizer = tokenizer
        self._session = session
        self.text_dim = int(session.get_outputs()[0].shape[1])

    @classmethod
    def open(cls, tokenizer_file: Path, session: ort.InferenceSession) -> TextEncoder:
        """Read ``tokenizer.json``; raises what ``tokenizers`` raises where it is unreadable."""
        return cls(Tokenizer.from_file(str(tokenizer_file)), session)

    def encode(self, texts: Sequence[str]) -> Matrix:
        """Encode [n] texts -> [n, text_dim], in the order given. An empty text is a text like any other."""
        vectors = np.empty((len(texts), self.text_dim), dtype=np.float32)
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(by_length), BATCH):
            chosen = by_length[start : start + BATCH]
            vectors[chosen] = self._run([texts[i][:MAX_CHARACTERS] for i in chosen])
        return vectors

    def _run(self, texts: list[str]) -> Matrix:
        encodings = self._tokenizer.encode_batch(texts)
        feed = {
            "input_ids": np.array([e.ids for e in encodings], dtype=np.int64),
            "attention_mask": np.array([e.attention_mask for e in encodings], dtype=np.int64),
        }
        result: Matrix = self._session.run(["text_vectors"], feed)[0]
        return result
