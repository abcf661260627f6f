"""UCI Online Retail: a British wholesaler's invoice lines, 2010-12-01 to 2011-12-09.

Published as a spreadsheet, used as CSV (from UCI with ISO times, or from Kaggle with ``12/1/2010 8:26`` in
Latin-1): ``InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country``.
https://archive.ics.uci.edu/dataset/352/online+retail (CC BY 4.0)

Every line with a customer and a positive quantity is a purchase; the lines of an invoice share its number
as their session. Left out and counted: cancellations (invoice numbers that begin with C), lines without a
customer, quantities of 0 or less. Kept, because customers did get them: gifts (price 0) and lines such as
POSTAGE that are no goods. Times are taken as UTC. An item's text and price are those of its first usable
line: what the shop knew then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from pathlib import Path

from encoders.datasets import files, lines, values
from encoders.datasets.dataset import Catalogue, Dataset, Skip, from_rows
from encoders.events import EventType, Interaction, Item

NAME = "online-retail"
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")

_CANCELLED = Skip("cancellation")
_NO_CUSTOMER = Skip("no customer")
_NO_QUANTITY = Skip("quantity not positive")


def load(path: Path) -> Dataset:
    """Read the file, or the first ``*.csv`` (or ``.csv.gz``) of the folder.

    Raises ``DataError`` where there is none, or where it is another table.
    """
    file = files.require(path, "the UCI Online Retail table as one .csv or .csv.gz", "*.csv")[0]
    catalogue: Catalogue = {}
    parse = _parser(lines.columns(file, COLUMNS, lines.split_csv), catalogue)

    def rows() -> Iterator[Interaction | Skip]:
        return lines.parse_lines(file, parse, header=True, encodings=lines.UTF8_OR_LATIN1)

    return from_rows(NAME, rows, catalogue)


def _parser(positions: list[int], catalogue: Catalogue) -> Callable[[int, str], Interaction | Skip]:
    pick = itemgetter(*positions)

    def parse(number: int, line: str) -> Interaction | Skip:
        invoice, code, description, quantity, when, unit_price, customer = pick(lines.split_csv(line))
        if invoice.startswith(("C", "c")):
            return _CANCELLED
        if not customer.strip():
            return _NO_CUSTOMER
        count = int(quantity)
        if count <= 0:
            return _NO_QUANTITY
        row = Interaction(
            user_id=values.identifier(customer.removesuffix(".0")),
            item_id=values.identifier(code),
            event_type=EventType.PURCHASE,
            timestamp_ms=_milliseconds(when),
            event_id=f"{NAME}-{number}",
            session_id=values.identifier(invoice),
            quantity=count,
            price=values.price(unit_price),
        )
        if row.item_id not in catalogue:
            catalogue[row.item_id] = Item(row.item_id, description.strip() or row.item_id, price=row.price)
        return row

    return parse


@lru_cache(maxsize=4096)
def _milliseconds(text: str) -> int:
    if "/" not in text:
        return values.iso_milliseconds(text)
    moment = datetime.strptime(text.strip(), "%m/%d/%Y %H:%M").replace(tzinfo=UTC)
    return values.milliseconds(moment.timestamp())
