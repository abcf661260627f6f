"""``--catalog``: a file of items, one JSON object a line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from encoders.errors import DataError
from encoders.events import Item
from streams.messages import ItemMessage

MAX_LINE_BYTES = 1_048_576


def read_catalogue(path: Path) -> list[Item]:
    """Read ``items.jsonl``; raises ``DataError`` with the line's number where a line is no item."""
    try:
        with path.open("rb") as file:
            items = [_item(path, number, line) for number, line in enumerate(file, 1) if line.strip()]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if not items:
        raise DataError(f"{path} holds no items: write one JSON object a line")
    return items


def _item(path: Path, number: int, line: bytes) -> Item:
    try:
        if len(line) > MAX_LINE_BYTES:
            raise msgspec.ValidationError(f"longer than {MAX_LINE_BYTES} bytes")
        read = msgspec.json.decode(line, type=ItemMessage)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(f"{path}, line {number}: {error}") from error
    categories = tuple(read.categories)
    return Item(read.item_id, read.title, read.description, categories, read.price, read.available)
