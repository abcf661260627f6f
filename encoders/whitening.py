"""PCA whitening: text vectors crowd in a narrow cone; whitened, their directions tell items apart.

Su et al., "Whitening Sentence Representations" (https://arxiv.org/abs/2103.15316), with the covariance shrunk
to a multiple of the identity as in Ledoit and Wolf (2004), so that a catalogue of five items works as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.errors import ModelError

Matrix = npt.NDArray[np.float32]
Exact = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Whitening:
    """``(x - mean) @ projection`` makes the components of text vectors uncorrelated, widest first."""

    mean: Matrix
    """[text_dim]"""
    projection: Matrix
    """[text_dim, text_dim]: the first d columns whiten to d dimensions."""

    def apply(self, text_vectors: Matrix) -> Matrix:
        """Whiten [n, text_dim] -> [n, text_dim]; the length is not normalised."""
        return np.asarray((text_vectors - self.mean) @ self.projection, dtype=np.float32)


def fit_whitening(text_vectors: Matrix, shrinkage: float | None = None) -> Whitening:
    """Fit on a catalogue's text vectors [n, text_dim].

    ``shrinkage`` 0 gives identity covariance on the catalogue itself, 1 gives a plain rotation. ``None``
    takes text_dim / (n + text_dim): a large catalogue is whitened, a tiny one is rotated, because
    directions in which it does not vary say nothing about the items that come later. The mean is shrunk by
    n / (n + 1) so that the only item of a catalogue is not the zero vector.

    Raises ``ModelError`` where there is nothing to fit.
    """
    count, text_dim = text_vectors.shape
    if count == 0:
        raise ModelError("the catalogue has no items: a model needs at least one to be made")
    exact = text_vectors.astype(np.float64)
    mean = exact.mean(axis=0)
    centred = exact - mean
    values, vectors = _descending_eigen(centred.T @ centred / count)
    values = _shrink(values, text_dim / (count + text_dim) if shrinkage is None else shrinkage)
    projection = vectors / np.sqrt(values)
    return Whitening((mean * count / (count + 1)).astype(np.float32), projection.astype(np.float32))


def aligned(whitening: Whitening, reference: Whitening, dim: int) -> Whitening:
    """The same whitening with its axes turned to those of ``reference``, the first ``dim`` among themselves
    and the rest among themselves.

    Orthogonal Procrustes (Schönemann, Psychometrika 1966). A rotation leaves every similarity of the shop's
    items as it was; but what was learned about directions in one shop can then be read in the other.
    """
    own, wanted = whitening.projection.astype(np.float64), reference.projection.astype(np.float64)
    turned = [_turned(own[:, part], wanted[:, part]) for part in (slice(None, dim), slice(dim, None))]
    return Whitening(whitening.mean, np.concatenate(turned, axis=1).astype(np.float32))


def _turned(own: Exact, wanted: Exact) -> Exact:
    """Columns [m, k] times the orthogonal matrix that turns them nearest to ``wanted`` [m, k]."""
    if not own.shape[1]:
        return own
    left, _, right = np.linalg.svd(_unit(own).T @ _unit(wanted))
    return np.asarray(own @ (left @ right))


def _unit(columns: Exact) -> Exact:
    return np.asarray(columns / np.linalg.norm(columns, axis=0))


def _descending_eigen(covariance: Exact) -> tuple[Exact, Exact]:
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    # An eigenvector's sign is arbitrary; fixing it makes the model the same on every machine.
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    return np.maximum(values, 0.0), vectors * np.sign(largest)


def _shrink(values: Exact, pull: float) -> Exact:
    mean = values.mean()
    if mean < 1e-12:  # one item, or the same text everywhere: nothing to whiten
        return np.ones_like(values)
    shrunk: Exact = np.maximum((1.0 - pull) * values + pull * mean, 1e-6 * mean)
    return shrunk
