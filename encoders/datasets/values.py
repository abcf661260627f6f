"""Turn a field of a text file into a value, or raise ``ValueError``."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache

_LATEST_MS = 4_102_444_800_000
"""2100-01-01: what is later is another unit, or nonsense."""


def identifier(text: str) -> str:
    """A user's, item's or session's id, without surrounding blanks; an empty one raises ``ValueError``."""
    text = text.strip()
    if not text:
        raise ValueError("empty id")
    return text


def milliseconds(seconds: float) -> int:
    """Seconds since 1970 as whole milliseconds; outside 1970 to 2100 raises ``ValueError``."""
    return checked_milliseconds(round(seconds * 1000))


def checked_milliseconds(value: int) -> int:
    """The same milliseconds since 1970; outside 1970 to 2100 raises ``ValueError``."""
    if not 0 <= value < _LATEST_MS:
        raise ValueError("not a time between 1970 and 2100")
    return value


# Neighbouring lines share their time (an invoice, a busy second), and parsing it costs more than the rest.
@lru_cache(maxsize=4096)
def iso_milliseconds(text: str) -> int:
    """An ISO 8601 time as milliseconds since 1970; a trailing ``UTC`` counts as ``Z``, none as UTC."""
    moment = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    return milliseconds(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())


def price(text: str) -> float | None:
    """A price of at least 0, ``None`` for an empty field; negative or not finite raises ``ValueError``."""
    if not text.strip():
        return None
    value = float(text)
    if not math.isfinite(value) or value < 0:
        raise ValueError("not a price")
    return value
