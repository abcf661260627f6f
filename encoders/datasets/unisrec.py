"""UniSRec's atomic files: order-only histories with a published leave-one-out split.

``X.test.inter`` and ``X.valid.inter`` (and ``X.train.inter``, where it was published) hold ``user_id``, the
history as item indices, and the target; texts come from ``X.text`` by item id with ``X.item2index``, or
from ``X.item`` by index. https://github.com/RUCAIBox/UniSRec (Amazon reviews, research use)

There is an order and no time. ``interactions()`` therefore invents times that keep each user's order and mix
the users (``ordered.py``). A review is a purchase.
"""

from __future__ import annotations

import html
from collections import Counter, defaultdict
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from encoders.datasets import files, lines, values
from encoders.datasets.dataset import Case, Dataset, LeaveOneOut, Skipped
from encoders.datasets.ordered import spread_in_time
from encoders.errors import DataError
from encoders.events import Item

NAME = "unisrec"
EXPECTED = "X.valid.inter, X.test.inter (and X.train.inter), with X.text and X.item2index, or with X.item"
_Row: TypeAlias = tuple[str, Case]


def load(path: Path) -> Dataset:
    """Read the folder (or the folder of the file); ``DataError`` where a part of the set is missing."""
    folder = path.parent if path.is_file() else path
    test, valid = files.find_one(folder, "*.test.inter"), files.find_one(folder, "*.valid.inter")
    if not (test and valid):
        raise files.missing(path, EXPECTED)
    skipped: Skipped = Counter()
    skipped_items: Skipped = Counter()
    items = _read_items(folder, path, skipped_items)
    tests, valids = (dict(_rows(file, len(items), skipped)) for file in (test, valid))
    if not tests or not valids:
        raise DataError(f"{test} and {valid} hold no usable line: is it a UniSRec data set?")
    train = files.find_one(folder, "*.train.inter")
    sequences = {user: history for user, (history, _) in valids.items()}
    if train:
        sequences |= _sequences(_rows(train, len(items), skipped))
    whole = _whole(sequences, valids, tests)
    return Dataset(
        name=NAME,
        items=items,
        ordered=True,
        n_interactions=sum(map(len, whole.values())),
        skipped=skipped,
        skipped_items=skipped_items,
        split=LeaveOneOut(list(sequences.values()), list(valids.values()), list(tests.values())),
        read=lambda: spread_in_time(NAME, whole, items),
    )


def _sequences(rows: Iterator[_Row]) -> dict[str, list[int]]:
    """Put a user's training sequence together again from its published (prefix, target) rows.

    Prefixes are cut to the newest 50 items, so no single row need hold the whole; the rows of a user run from
    the longest to the shortest, or the other way.
    """
    by_user: dict[str, list[Case]] = defaultdict(list)
    for user, case in rows:
        by_user[user].append(case)
    for cases in by_user.values():
        if len(cases[0][0]) > len(cases[-1][0]):
            cases.reverse()
    return {user: [*cases[0][0], *(target for _, target in cases)] for user, cases in by_user.items()}


def _whole(
    sequences: dict[str, list[int]], valids: dict[str, Case], tests: dict[str, Case]
) -> dict[str, list[int]]:
    """All that a user did: the training sequence, the validation target, the test target."""
    targets = {user: [cases[user][1] for cases in (valids, tests) if user in cases] for user in tests}
    return {user: [*sequences.get(user, []), *last] for user, last in targets.items()}


def _rows(path: Path, n_items: int, skipped: Skipped) -> Iterator[_Row]:
    """User and case of each line; an index that no item has makes a line malformed."""
    pick = itemgetter(*lines.columns(path, ("user_id", "item_id_list", "item_id"), lines.split_tabs))

    def parse(_: int, line: str) -> _Row:
        user, history, target = pick(line.split("\t"))
        indices = [*map(int, history.split()), int(target)]
        if not all(0 <= index < n_items for index in indices):
            raise ValueError("no such item")
        return values.identifier(user), (indices[:-1], indices[-1])

    return lines.kept(lines.parse_lines(path, parse, header=True), skipped)


def _read_items(folder: Path, path: Path, skipped: Skipped) -> list[Item]:
    """Items in the order of their indices."""
    text, index = files.find_one(folder, "*.text"), files.find_one(folder, "*.item2index")
    by_index = files.find_one(folder, "*.item")
    if text and index:
        texts = _read_texts(text, ("item_id", "text"), skipped)
        order = _read_order(index, skipped)
    elif by_index:
        texts = _read_texts(by_index, ("item_id", "title"), skipped)
        order = {item: int(item) for item in texts if item.isdecimal()}
    else:
        raise files.missing(path, EXPECTED)
    by_position = {position: item for item, position in order.items()}
    if set(by_position) != set(range(len(order))):
        raise DataError(f"the item indices in {index or by_index} are not 0, 1, 2, ... without a gap")
    names = [by_position[position] for position in range(len(order))]
    return [Item(name, texts.get(name) or name) for name in names]


def _read_texts(path: Path, names: tuple[str, str], skipped: Skipped) -> dict[str, str]:
    pick = itemgetter(*lines.columns(path, names, lines.split_tabs))

    def parse(_: int, line: str) -> tuple[str, str]:
        item, text = pick(line.split("\t"))
        return values.identifier(item), html.unescape(text).strip()

    return dict(lines.kept(lines.parse_lines(path, parse, header=True), skipped))


def _read_order(path: Path, skipped: Skipped) -> dict[str, int]:
    def parse(_: int, line: str) -> tuple[str, int]:
        item, position = line.split("\t")
        return values.identifier(item), int(position)

    return dict(lines.kept(lines.parse_lines(path, parse), skipped))
