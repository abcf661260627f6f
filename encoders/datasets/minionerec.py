"""MiniOneRec's files: order-only histories with titles and descriptions (Amazon Office, Amazon Industrial).

``valid.csv`` and ``test.csv`` (and ``train.csv``, where it was published) hold one row a prediction:
``user_id``, ``history_item_id`` (``[384, 289]``, at most the ten newest) and ``item_id``, which came next;
the other columns repeat titles and semantic ids. ``items.json`` (published as ``X.item.json``) describes the
items by index. https://github.com/AkaliKong/MiniOneRec (Amazon reviews, research use)

The files are parts of one order and have several rows a user; the rows before the published parts may be
missing. So each user's rows are put together again, and everybody's last item is the test target, the one
before it validation: the protocol of the other order-only sets, not the published parts. A review is a
purchase, and times are invented, as in ``unisrec``.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec

from encoders.datasets import files, lines, values
from encoders.datasets.dataset import MALFORMED, Dataset, LeaveOneOut, Skipped
from encoders.datasets.ordered import spread_in_time
from encoders.errors import DataError
from encoders.events import Item

NAME = "minionerec"
EXPECTED = "valid.csv and test.csv (and train.csv), with items.json"
PARTS: Final = ("*train*.csv", "*valid*.csv", "*test*.csv")
"""In the order of time."""
COLUMNS: Final = ("user_id", "history_item_id", "item_id")
MAX_CATALOGUE_BYTES: Final = 1 << 29
"""The catalogue is one JSON object, read at once."""
MAX_DESCRIPTION: Final = 2_000
"""Characters kept: about twice what a text tower reads."""
READ_DESCRIPTION: Final = 20_000
"""Characters looked at: pages of style sheets come before some descriptions."""
MARKUP: Final = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)
NO_CONTINUATION: Final = "history does not continue"


class _Meta(msgspec.Struct):
    title: str | None = None
    description: str | None = None
    brand: str | None = None
    categories: str | None = None


_decode_history = msgspec.json.Decoder(list[int]).decode
_decode_items = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_meta = msgspec.json.Decoder(_Meta).decode


def load(path: Path) -> Dataset:
    """Read the folder (or the folder of the file); ``DataError`` where a part of the set is missing."""
    folder = path.parent if path.is_file() else path
    catalogue = files.find_one(folder, "*item*.json")
    parts = [part for pattern in PARTS for part in files.find(folder, pattern)]
    if catalogue is None or len(parts) < 2:
        raise files.missing(path, EXPECTED)
    skipped_items: Skipped = Counter()
    items = _read_items(catalogue, skipped_items)
    skipped: Skipped = Counter()
    whole: dict[str, list[int]] = {}
    for part in parts:
        _continue(whole, part, len(items), skipped)
    if not whole:
        raise DataError(f"{folder} holds no usable line (left out: {dict(skipped)}): is it such a data set?")
    return Dataset(
        name=NAME,
        items=items,
        ordered=True,
        n_interactions=sum(map(len, whole.values())),
        skipped=skipped,
        skipped_items=skipped_items,
        split=_leave_one_out(list(whole.values())),
        read=lambda: spread_in_time(NAME, whole, items),
    )


def _continue(whole: dict[str, list[int]], part: Path, n_items: int, skipped: Skipped) -> None:
    """Add the rows of one file to what is known of each user."""
    pick = itemgetter(*lines.columns(part, COLUMNS, lines.split_csv))

    def parse(_: int, line: str) -> tuple[str, list[int]]:
        user, history, target = pick(lines.split_csv(line))
        indices = [*_decode_history(history), int(target)]
        if len(indices) < 2 or not all(0 <= index < n_items for index in indices):
            raise ValueError("no history, or no such item")
        return values.identifier(user), indices

    for user, indices in lines.kept(lines.parse_lines(part, parse, header=True), skipped):
        known = whole.setdefault(user, indices[:-1])
        if known[-len(indices[:-1]) :] == indices[:-1]:
            known.append(indices[-1])
        else:
            skipped[NO_CONTINUATION] += 1


def _leave_one_out(sequences: list[list[int]]) -> LeaveOneOut:
    """Users with three items or more are asked about; what the others did is trained on."""
    asked = [sequence for sequence in sequences if len(sequence) > 2]
    others = [sequence for sequence in sequences if len(sequence) <= 2]
    return LeaveOneOut(
        [sequence[:-2] for sequence in asked] + others,
        [(sequence[:-2], sequence[-2]) for sequence in asked],
        [(sequence[:-1], sequence[-1]) for sequence in asked],
    )


def _read_items(file: Path, skipped: Skipped) -> list[Item]:
    """Items in the order of their indices; one whose description is unusable has its index as its title."""
    try:
        if file.stat().st_size > MAX_CATALOGUE_BYTES:
            raise DataError(f"{file} is larger than {MAX_CATALOGUE_BYTES >> 20} MiB: no such catalogue is")
        described = _decode_items(file.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from error
    except msgspec.MsgspecError as error:
        raise DataError(f"{file} is no JSON object of items: {error}") from error
    names = [str(index) for index in range(len(described))]
    if set(names) != set(described):
        raise DataError(f"the item indices in {file} are not 0, 1, 2, ... without a gap")
    return [_item(name, described[name], skipped) for name in names]


def _item(name: str, raw: msgspec.Raw, skipped: Skipped) -> Item:
    try:
        meta = _decode_meta(raw)
    except msgspec.MsgspecError:
        skipped[MALFORMED.reason] += 1
        return Item(name, name)
    return Item(
        name,
        _text(meta.title).strip() or name,
        _text(meta.description).strip("[]'\" ")[:MAX_DESCRIPTION].strip(),
        (_text(meta.categories),) if meta.categories else (),
        brand=_text(meta.brand) or None,
    )


def _text(published: str | None) -> str:
    """Without markup; a description is a list as Python prints it, whose ends the caller cuts off."""
    return " ".join(MARKUP.sub(" ", html.unescape((published or "")[:READ_DESCRIPTION])).split())
