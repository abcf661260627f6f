"""The catalogue as a map: categories on a circle, each item drawn to those that it is like. Pure.

A radial visualisation (RadViz: Hoffman et al. 1997) with categories as anchors. The main axes of item vectors
would show next to nothing: whitened vectors vary in all directions alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Points = npt.NDArray[np.float32]

FITTED_ON = 20_000
"""Items that the map is computed from, at most: evenly spread over the catalogue."""
MOST_ANCHORS = 12
LEAST_ANCHORS = 3
SHARPNESS = 5.0
"""How much stronger a category draws for being more like an item: the factor of cosines in a softmax."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where any vector lies: the mean of the anchors' places, weighted by how like each anchor it is."""

    mean: Vectors
    """[d]"""
    anchors: Vectors
    """[m, d], unit length, the mean taken off."""
    places: Points
    """[m, 2]: on a circle, scaled so that the items fitted on fill a square from -1 to 1."""
    names: tuple[str, ...]
    """Categories in the order of the anchors; empty where the catalogue has too few of them."""

    @classmethod
    def fit(cls, vectors: Vectors, categories: Sequence[str | None]) -> Layout:
        """The layout of items [n, d], n at least 1, and the widest category of each; always the same."""
        rows = spread(len(vectors), FITTED_ON)
        vectors, labels = vectors[rows], np.array([categories[row] or "" for row in rows])
        mean = vectors.mean(axis=0)
        counts = Counter(labels[labels != ""].tolist())
        names = sorted(counts, key=lambda one: (-counts[one], one))[:MOST_ANCHORS]
        if len(names) < LEAST_ANCHORS:
            anchors, names = _main_axes(vectors - mean), []
        else:
            anchors = _unit(np.stack([vectors[labels == one].mean(axis=0) - mean for one in names]))
            order = _around(anchors)
            anchors, names = anchors[order], [names[one] for one in order]
        angles = 2 * np.pi * np.arange(len(anchors)) / len(anchors)
        places = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        reach = float(np.abs(_drawn(vectors - mean, anchors) @ places).max()) or 1.0
        return cls(mean, anchors, places / np.float32(reach), tuple(names))

    def __call__(self, vectors: Vectors) -> Points:
        """Vectors [n, d] -> [n, 2], between -1 and 1 for the items fitted on."""
        points: Points = _drawn(vectors - self.mean, self.anchors) @ self.places
        return points


def spread(count: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` of the numbers 0 to ``count`` - 1, evenly spread, ascending."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).astype(np.int64))


class LayoutCache:
    """One layout a model version, kept until its catalogue has doubled: a map that jumps is no map."""

    def __init__(self) -> None:
        self._version = ""
        self._count = 0
        self._layout: Layout | None = None

    def of(self, version: str, vectors: Vectors, categories: Sequence[str | None]) -> tuple[str, Layout]:
        """The layout of a version's items (see ``Layout.fit``), and a name that changes with it."""
        stale = version != self._version or len(vectors) >= 2 * self._count
        if self._layout is None or stale:
            self._version, self._count = version, len(vectors)
            self._layout = Layout.fit(vectors, categories)
        return f"{self._version}/{self._count}", self._layout


def _drawn(centred: Vectors, anchors: Vectors) -> Vectors:
    """Weights [n, m] that add up to 1: a softmax over the cosines with the anchors."""
    weights = np.exp(SHARPNESS * (_unit(centred) @ anchors.T))
    share: Vectors = weights / weights.sum(axis=1, keepdims=True)
    return share


def _main_axes(centred: Vectors) -> Vectors:
    """The two principal axes and their opposites, in turn round the circle: [4, d]."""
    _, directions = np.linalg.eigh(np.cov(centred, rowvar=False, bias=True))  # Ascending.
    axes = directions[:, :-3:-1].T
    # An axis has no sign of its own: its largest part is made positive.
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    first, second = axes * np.where(largest < 0, -1.0, 1.0)
    return np.stack([first, second, -first, -second]).astype(np.float32)


def _around(anchors: Vectors) -> npt.NDArray[np.int64]:
    """An order round a circle in which neighbours are alike: by angle in the graph's two smoothest modes."""
    alike = anchors @ anchors.T - (anchors @ anchors.T).min()
    laplacian = np.diag(alike.sum(axis=1)) - alike
    _, modes = np.linalg.eigh(laplacian)
    order: npt.NDArray[np.int64] = np.argsort(np.arctan2(modes[:, 2], modes[:, 1]), kind="stable")
    return order


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit
