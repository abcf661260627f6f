"""Public data sets, read as they were published: one module a format, one function for all of them."""

from __future__ import annotations

from collections.abc import Callable
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

NAMES = tuple(sorted(_LOADERS))
"""The formats that ``load`` knows."""


def load(name: str, path: Path) -> Dataset:
    """Read the data set in the format ``name`` (one of ``NAMES``) from a file or folder.

    Raises ``DataError`` where ``path`` does not hold it, and where ``name`` is no format.
    """
    if name not in _LOADERS:
        raise DataError(f"no data set format {name!r}: choose one of {', '.join(NAMES)}")
    return _LOADERS[name](path)
