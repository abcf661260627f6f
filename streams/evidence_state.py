"""What is stored of an item's evidence besides its neighbours; between arrays and records. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from encoders.errors import StoreError
from encoders.evidence import Evidence, Row
from exporters.vector_store import EvidenceRecord
from streams.item_table import ItemTable

FORMAT = 1
REMEMBERED = 64
"""Late entries of an item that are remembered one by one, so that a repeat of them counts nothing."""


class EvidenceState(Struct, array_like=True):
    """The packed part of an item's evidence.

    ``offsets`` maps a source (epoch/topic:partition) to the highest offset that was merged; ``late`` names
    events that came out of order (they had waited for their item), the latest ``REMEMBERED`` of them.
    """

    format: int = FORMAT
    landmark: float = 0.0
    """Seconds since 1970-01-01 UTC that all values are as of."""
    total: float = 0.0
    popularity: float = 0.0
    recent: float = 0.0
    offsets: dict[str, int] = {}
    late: list[str] = []
    bought: float = 0.0
    depth: float = 0.0

    def copy(self) -> EvidenceState:
        """One that may be changed without changing this one."""
        return EvidenceState(
            self.format,
            self.landmark,
            self.total,
            self.popularity,
            self.recent,
            dict(self.offsets),
            list(self.late),
            self.bought,
            self.depth,
        )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(EvidenceState)


def unpack_evidence(blob: bytes) -> EvidenceState:
    """Read a record's ``blob``; raises ``StoreError`` when it is damaged or of a newer Freshet."""
    try:
        state = _decoder.decode(blob)
    except msgspec.DecodeError as error:
        raise StoreError(
            f"an item's stored evidence cannot be read ({error}); was it written by Freshet?"
        ) from None
    if state.format != FORMAT:
        raise StoreError(f"an item's stored evidence has format {state.format}; this version reads {FORMAT}")
    return state


def take_in(evidence: Evidence, items: ItemTable, record: EvidenceRecord) -> None:
    """Put a stored record of a known item into the arrays; unknown neighbours are left out."""
    row = items.rows[record.item_id]
    state = unpack_evidence(record.blob)
    neighbours = items.rows_of_dimensions(record.dimensions)
    known = neighbours >= 0
    sums = state.total, state.popularity, state.recent, state.bought, state.depth
    evidence.put(row, Row(neighbours[known], record.weights[known], *sums), state.landmark)


def records_of(
    evidence: Evidence,
    items: ItemTable,
    states: Sequence[tuple[str, int, EvidenceState]],
    token: int,
    now_ms: int,
) -> list[EvidenceRecord]:
    """Records to write of (item id, sequence, state), with the values that the arrays hold now."""
    dimensions = items.dimensions
    records = []
    for item_id, sequence, state in states:
        row = evidence.row(items.rows[item_id])
        state.landmark = evidence.landmark
        state.total, state.popularity, state.recent = row.total, row.popularity, row.recent
        state.bought, state.depth = row.bought, row.depth
        records.append(
            EvidenceRecord(
                item_id=item_id,
                dimensions=dimensions[row.neighbours],
                weights=row.weights,
                blob=_encoder.encode(state),
                sequence=sequence,
                token=token,
                updated_at_ms=now_ms,
            )
        )
    return records
