"""The catalogue as columns: a row an item, for arithmetic over many candidates at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exporters.vector_store import ItemRecord, Vector, dimension_of

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FIRST_CAPACITY = 1_024
UNKNOWN = -1
"""In place of a number for a category, a brand or a row that is not there."""


class ItemTable(Mapping[str, Vector]):
    """Item id -> unit vector [d]; rows number the items in the order of their arrival and never change."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        """Item id -> row."""
        self.ids: list[str] = []
        """Row -> item id."""
        self.categories: list[tuple[str, ...]] = []
        """Row -> categories, the widest first."""
        self.brand_numbers: dict[str, int] = {}
        """Brand -> its number in ``brands``."""
        self._category_numbers: dict[str, int] = {}
        self._by_dimension: dict[int, int] = {}
        self._vectors = np.zeros((0, 0), np.float32)
        self._columns = _columns(0)

    def __getitem__(self, item_id: str) -> Vector:
        row: Vector = self._vectors[self.rows[item_id]]
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self.rows

    @property
    def vectors(self) -> Vector:
        """[n, d], unit length."""
        return self._vectors[: len(self)]

    @property
    def prices(self) -> npt.NDArray[np.float32]:
        """[n], not a number where unknown."""
        return self._columns["price"][: len(self)]

    @property
    def created_ms(self) -> Integers:
        """[n]: since when each is in the catalogue, milliseconds since 1970-01-01 UTC."""
        return self._columns["created_ms"][: len(self)]

    @property
    def available(self) -> Flags:
        """[n]"""
        return self._columns["available"][: len(self)]

    @property
    def main_categories(self) -> Integers:
        """[n]: a number for the narrowest category, ``UNKNOWN`` without one."""
        return self._columns["category"][: len(self)]

    @property
    def brands(self) -> Integers:
        """[n]: a number for the brand, ``UNKNOWN`` without one."""
        return self._columns["brand"][: len(self)]

    @property
    def dimensions(self) -> npt.NDArray[np.uint32]:
        """[n]: each item's dimension in sparse vectors."""
        return self._columns["dimension"][: len(self)]

    def put(self, records: Sequence[ItemRecord]) -> None:
        """Take in items as stored."""
        for record in records:
            row = self._row(record)
            self._vectors[row] = record.vector
            self.categories[row] = record.categories
            columns = self._columns
            columns["price"][row] = np.nan if record.price is None else record.price
            columns["created_ms"][row] = record.created_at_ms
            columns["available"][row] = record.available
            narrowest = record.categories[-1] if record.categories else None
            columns["category"][row] = _number(narrowest, self._category_numbers)
            columns["brand"][row] = _number(record.brand, self.brand_numbers)

    def rows_of(self, item_ids: Iterable[str]) -> list[int]:
        """Rows of those items that are here."""
        return [row for row in map(self.rows.get, item_ids) if row is not None]

    def rows_of_dimensions(self, dimensions: npt.NDArray[np.uint32]) -> Integers:
        """Rows [m] of sparse dimensions [m]; ``UNKNOWN`` where no item has one."""
        known = self._by_dimension
        return np.array([known.get(one, UNKNOWN) for one in dimensions.tolist()], np.int64)

    def _row(self, record: ItemRecord) -> int:
        row = self.rows.get(record.item_id)
        if row is None:
            row = len(self.ids)
            if row >= len(self._vectors):
                self._reserve(max(FIRST_CAPACITY, 2 * row), len(record.vector))
            dimension = dimension_of(record.item_id)
            self._columns["dimension"][row] = dimension
            self._by_dimension.setdefault(dimension, row)
            self.categories.append(())
            self.rows[record.item_id] = row
            self.ids.append(record.item_id)
        return row

    def _reserve(self, capacity: int, dim: int) -> None:
        """New arrays, not resized ones: another thread may be reading the old ones."""
        old = len(self.ids)
        vectors, columns = np.zeros((capacity, dim), np.float32), _columns(capacity)
        vectors[:old] = self._vectors[:old] if old else 0.0
        for name, values in columns.items():
            values[:old] = self._columns[name][:old]
        self._vectors, self._columns = vectors, columns


def _number(name: str | None, numbers: dict[str, int]) -> int:
    return numbers.setdefault(name, len(numbers)) if name else UNKNOWN


def _columns(capacity: int) -> dict[str, npt.NDArray[Any]]:
    return {
        "price": np.full(capacity, np.nan, np.float32),
        "created_ms": np.zeros(capacity, np.int64),
        "available": np.zeros(capacity, np.bool_),
        "category": np.full(capacity, UNKNOWN, np.int64),
        "brand": np.full(capacity, UNKNOWN, np.int64),
        "dimension": np.zeros(capacity, np.uint32),
    }
