"""Item factors of the past: which items the same users had, however far apart, in a few directions.

Ridge regression of what a user has on what he has, B = (XᵀX + λI)⁻¹ XᵀX with X [users, n] of ones and zeros,
cut to its strongest directions: with XᵀX = V diag(s) Vᵀ, B ≈ F Fᵀ for F = V √(s / (s + λ)). Without the cut
and with a diagonal of zero it is EASE (Steck, "Embarrassingly shallow autoencoders for sparse data", WWW
2019). A user's score of item j is the sum of F_e · F_j over his events e: nothing is solved when he asks.

Fitted where models are trained, on items by their ids: an item that came later has no factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

FACTORS: Final = 64
SHRINKAGE: Final = 150.0
"""λ, in users: a direction that fewer turn to says less."""
DENSE: Final = 512
"""Items up to which all directions are computed."""


@dataclass(frozen=True, slots=True)
class ItemFactors:
    """Factors of the n items of some past."""

    keys: Keys
    """[n], ascending: ``key_of`` each item."""
    vectors: Floats
    """[n, f]"""

    def rows(self, item_ids: Sequence[str]) -> Floats:
        """The items' factors, [m, f], zeros where there are none."""
        found = np.zeros((len(item_ids), self.vectors.shape[1]), np.float32)
        if not len(self.keys):
            return found
        keys = keys_of(item_ids)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = self.keys[at] == keys
        found[known] = self.vectors[at[known]]
        return found


class FactorRows:
    """The factors of a catalogue that grows, row by row."""

    def __init__(self, factors: ItemFactors | None) -> None:
        self._factors = factors
        self._rows = np.zeros((0, 0 if factors is None else factors.vectors.shape[1]), np.float32)

    def of(self, item_ids: Sequence[str]) -> Floats | None:
        """[n, f] of all items, whose first are those of the last call; ``None`` in a model without."""
        if self._factors is None:
            return None
        if len(item_ids) > len(self._rows):
            self._rows = np.concatenate([self._rows, self._factors.rows(item_ids[len(self._rows) :])])
        return self._rows


def keys_of(item_ids: Sequence[str]) -> Keys:
    """64 bits of each item id, [m]: a number in place of a name."""
    digests = (blake2b(item_id.encode(), digest_size=8).digest() for item_id in item_ids)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def item_factors(item_ids: Sequence[str], vectors: Floats) -> ItemFactors:
    """Factors [n, f] of these items [n], by their keys; items without any are left out."""
    there = np.flatnonzero(vectors.any(axis=1))
    keys = keys_of([item_ids[row] for row in there.tolist()])
    order = np.argsort(keys)
    return ItemFactors(keys[order], vectors[there[order]])


def fit_factors(users: Integers, items: Integers, n: int, factors: int = FACTORS) -> Floats:
    """Factors [n, factors] of n items from events [e]: who had what; zeros of items that nobody had.

    Deterministic up to the directions' signs, which no score depends on. Needs scipy.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import LinearOperator, eigsh

    found = np.zeros((n, factors), np.float32)
    held, rows = np.unique(items, return_inverse=True)  # [m] of n items
    if not len(held):
        return found
    _, people = np.unique(users, return_inverse=True)
    had = coo_matrix((np.ones(len(rows)), (people, rows))).tocsr()
    had.data[:] = 1.0  # what was had twice was had
    m = len(held)
    if m <= max(DENSE, factors + 1):
        strengths, directions = np.linalg.eigh((had.T @ had).toarray())
    else:
        gram = LinearOperator((m, m), matvec=lambda vector: had.T @ (had @ vector), dtype=np.float64)
        start = np.random.default_rng(0).normal(size=m)
        strengths, directions = eigsh(gram, k=factors, v0=start, tol=1e-4)
    best = np.argsort(-strengths)[:factors]
    strengths = np.maximum(strengths[best], 0.0)
    found[held, : len(best)] = directions[:, best] * np.sqrt(strengths / (strengths + SHRINKAGE))
    return found
