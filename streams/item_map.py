"""The catalogue as a map: item vectors on their two main axes, and a user's interest among them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Points = npt.NDArray[np.float32]

FITTED_ON = 20_000
"""Items that the axes are computed from, at most: evenly spread over the catalogue."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Two principal axes (Pearson 1901) of item vectors, scaled so that the items fitted on fill a square."""

    mean: Vectors
    """[d]"""
    axes: Vectors
    """[d, 2]"""
    explained: float
    """Share of the variance that the two axes show, 0 to 1."""

    @classmethod
    def fit(cls, vectors: Vectors) -> Projection:
        """The axes of vectors [n, d], n at least 1; the same vectors give the same axes."""
        vectors = vectors[spread(len(vectors), FITTED_ON)]
        mean = vectors.mean(axis=0)
        centred = vectors - mean
        variances, directions = np.linalg.eigh(np.cov(centred, rowvar=False, bias=True))  # Ascending.
        axes = directions[:, :-3:-1]
        # An axis has no sign of its own: its largest part is made positive.
        axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
        reach = float(np.abs(centred @ axes).max()) or 1.0
        total = float(variances.sum())
        explained = float(variances[-2:].sum()) / total if total > 0 else 0.0
        return cls(mean, (axes / reach).astype(np.float32), explained)

    def __call__(self, vectors: Vectors) -> Points:
        """Vectors [n, d] -> [n, 2], between -1 and 1 for the items fitted on."""
        return (vectors - self.mean) @ self.axes


def spread(count: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` of the numbers 0 to ``count`` - 1, evenly spread, ascending."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).astype(np.int64))


class ProjectionCache:
    """One projection a model version, kept until its catalogue has doubled: a map that jumps is no map."""

    def __init__(self) -> None:
        self._version = ""
        self._count = 0
        self._projection: Projection | None = None

    def of(self, version: str, vectors: Vectors) -> tuple[str, Projection]:
        """The projection of a version's items [n, d], n at least 1, and a name that changes with it."""
        stale = version != self._version or len(vectors) >= 2 * self._count
        if self._projection is None or stale:
            self._version, self._count = version, len(vectors)
            self._projection = Projection.fit(vectors)
        return f"{self._version}/{self._count}", self._projection
