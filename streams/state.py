"""What is kept of a user besides vectors: a packed, bounded history, and offsets that make replays harmless.

Pure: knows no Kafka and no Qdrant. The packed form is MessagePack of arrays (no field names), because it
travels with every upsert.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from encoders.errors import StoreError
from encoders.events import EventType

FORMAT = 1
FULL_STRENGTH = 100
Vector = npt.NDArray[np.float32]


class Applied(Struct, array_like=True, frozen=True):
    """One event of the history, in the order of application; ``timestamp_ms`` since 1970-01-01 UTC."""

    item_id: str
    event_type: int
    timestamp_ms: int
    strength: int = FULL_STRENGTH
    """How strongly it counted, in hundredths; below 0 for what spoke against its item."""

    @property
    def against(self) -> bool:
        """Whether it spoke against its item: a dislike, a rating below neutral."""
        return self.strength < 0 or self.event_type == EventType.DISLIKE


class LastEvent(Struct, array_like=True, frozen=True):
    """The event applied last: what a recommendation names as its trigger."""

    topic: str
    event_id: str
    item_id: str
    timestamp_ms: int


class Waiting(Struct, array_like=True, frozen=True):
    """An event whose item is not in the catalogue yet, as received, until ``deadline_ms`` (wall clock)."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    item_id: str
    deadline_ms: int
    received_ms: int
    headers: tuple[tuple[str, bytes | None], ...] = ()


class History(Struct, array_like=True):
    """The packed part of a user's state; every list and map is bounded (see ``settings.HistorySettings``).

    ``offsets`` maps ``topic:partition`` to the last offset that was applied, parked or refused.
    ``seen`` and ``bought`` map item ids to the time of the latest click or purchase, oldest first.
    """

    format: int = FORMAT
    events: list[Applied] = []
    seen: dict[str, int] = {}
    bought: dict[str, int] = {}
    event_ids: list[int] = []
    offsets: dict[str, int] = {}
    waiting: list[Waiting] = []
    last: LastEvent | None = None
    latest_ms: int = 0
    """Latest event time; a later arrival with an earlier time is a late event."""
    applied: int = 0
    """How many events the vectors hold."""


class UserState:
    """A user while a batch is at work on it: ``interest`` [d], ``state`` [s], history, count of writes."""

    __slots__ = ("encoded_by", "history", "interest", "sequence", "state", "user_id")

    def __init__(
        self,
        user_id: str,
        interest: Vector,
        state: Vector,
        history: History,
        sequence: int = 0,
        encoded_by: str | None = None,
    ) -> None:
        self.encoded_by = encoded_by
        """The users' collection of the model that made the vectors of the history; ``None``: none did."""
        self.user_id = user_id
        self.interest = interest
        self.state = state
        self.history = history
        self.sequence = sequence

    @classmethod
    def new(cls, user_id: str, dim: int, state_dim: int) -> UserState:
        """A user without any event: zero vectors, empty history."""
        return cls(user_id, np.zeros(dim, np.float32), np.zeros(state_dim, np.float32), History())


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(History)


def pack(history: History) -> bytes:
    """The bytes that the store keeps."""
    return _encoder.encode(history)


def unpack(blob: bytes) -> History:
    """Read :func:`pack`'s bytes; raises ``StoreError`` when they are damaged or of a newer Freshet."""
    try:
        history = _decoder.decode(blob)
    except msgspec.DecodeError as error:
        raise StoreError(
            f"a user's stored history cannot be read ({error}); was it written by Freshet?"
        ) from None
    if history.format != FORMAT:
        raise StoreError(f"a user's stored history has format {history.format}; this version reads {FORMAT}")
    return history


def event_hash(event_id: str) -> int:
    """63 bits of an event id, so that remembering it costs nine bytes whatever its length."""
    return int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest()) >> 1
