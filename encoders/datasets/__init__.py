"""Public data sets, read as they were published: one module a format, one function for all of them.

Other packages add formats by the entry points of ``freshet.datasets`` (docs/extending.md).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from encoders.datasets import (
    amazon_reviews,
    minionerec,
    movielens,
    online_retail,
    rees46,
    retailrocket,
    unisrec,
    yoochoose,
)
from encoders.datasets.dataset import Case, Dataset, LeaveOneOut, Skipped
from encoders.errors import DataError

__all__ = ["NAMES", "Case", "Dataset", "LeaveOneOut", "Skipped", "load"]

_LOADERS: dict[str, Callable[[Path], Dataset]] = {
    module.NAME: module.load
    for module in (
        amazon_reviews,
        minionerec,
        movielens,
        online_retail,
        rees46,
        retailrocket,
        unisrec,
        yoochoose,
    )
}

_ADDED = {entry.name: entry for entry in entry_points(group="freshet.datasets")}

NAMES = tuple(sorted({*_LOADERS, *_ADDED}))
"""The formats that ``load`` knows."""


def load(name: str, path: Path) -> Dataset:
    """Read the data set in the format ``name`` (one of ``NAMES``) from a file or folder.

    Raises ``DataError`` where ``path`` does not hold it, where ``name`` is no format, and where the package
    that adds it cannot be imported.
    """
    if name in _LOADERS:
        return _LOADERS[name](path)
    if name not in _ADDED:
        raise DataError(f"no data set format {name!r}: choose one of {', '.join(NAMES)}")
    try:
        added: Callable[[Path], Dataset] = _ADDED[name].load()
    except (ImportError, AttributeError) as error:
        raise DataError(f"the loader {_ADDED[name].value} of {name!r} cannot be imported: {error}") from error
    return added(path)
