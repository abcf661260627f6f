"""A model of a few lines: texts hashed to vectors, interest a decayed mean. No ONNX, no tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from exporters.vector_store import VectorSizes

Vector = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
DIM, TEXT_DIM = 6, 8
DECAY = np.float32(0.75)
"""What a step leaves of the past: less than one, so that the order of events shows in the state."""
HALF_LIFE_SECONDS = 86_400.0
EVENT_WEIGHTS = np.array([1.0, 2.0], np.float32)


class FakeModel:
    """What the running system asks of ``encoders.runtime.ServingModel``; counts the texts it encodes.

    Every operation is elementwise, so that a user's result is the same to the last bit in any batch.
    """

    def __init__(self, version: str = "fake-1", first: int = 0, dim: int = DIM) -> None:
        """``first``: where an item's vector begins in its text's; models differ by it."""
        self.sizes = VectorSizes(item=dim, text=TEXT_DIM, state=dim)
        self.version = version
        self._first = first
        self.dim, self.text_dim, self.state_dim = dim, TEXT_DIM, dim
        self.encoded: list[str] = []
        self.factors = None

    def encode_texts(self, texts: Sequence[str]) -> Vector:
        """Texts -> [n, t], unit length, a function of the text alone."""
        self.encoded.extend(texts)
        return np.stack([text_vector(text) for text in texts])

    def item_vectors(self, text_vectors: Vector) -> Vector:
        """[n, t] -> [n, d], unit length."""
        return _unit(text_vectors[:, self._first : self._first + self.dim])

    def initial_state(self, n: int) -> Vector:
        """States [n, s] of users without events."""
        return np.zeros((n, self.dim), np.float32)

    def step(
        self, state: Vector, item: Vector, event_type: npt.NDArray[np.int64], gap_seconds: Vector
    ) -> tuple[Vector, Vector]:
        """One event each: [b, s], [b, d], [b], [b] -> [b, s], [b, d]."""
        fading = np.exp2(-np.abs(gap_seconds) / HALF_LIFE_SECONDS).astype(np.float32)
        late = (gap_seconds < 0)[:, None]
        own = EVENT_WEIGHTS[event_type][:, None] * item
        kept = DECAY * state
        new = np.where(late, kept + fading[:, None] * own, fading[:, None] * kept + own)
        return new, _unit(new)

    def prefill(
        self, items: Vector, event_types: Integers, gaps: Vector, lengths: Integers
    ) -> tuple[Vector, Vector]:
        """Repeated ``step`` for each history of [b, t, d]."""
        states, interests = self.initial_state(len(items)), np.zeros((len(items), self.dim), np.float32)
        for t in range(int(lengths.max())):
            rows = lengths > t
            states[rows], interests[rows] = self.step(
                states[rows], items[rows, t], event_types[rows, t], gaps[rows, t]
            )
        return states, interests

    def rank(self, features: Vector) -> Vector | None:
        """None: candidates are ordered by the plain score."""
        return None


def text_vector(text: str) -> Vector:
    """A unit vector [t] that follows from the text alone."""
    seed = int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
    vectors = _unit(np.random.default_rng(seed).standard_normal((1, TEXT_DIM)).astype(np.float32))
    return np.asarray(vectors[0], np.float32)


def _unit(vectors: Vector) -> Vector:
    lengths = np.sqrt(np.sum(vectors * vectors, axis=1, keepdims=True, dtype=np.float32))
    result: Vector = (vectors / np.maximum(lengths, np.float32(1e-12))).astype(np.float32)
    return result
