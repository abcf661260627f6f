"""The catalogue first: at the start, events wait until this worker has stored the items that came before.

Without it a worker that starts on full topics would set aside clicks on items which it is about to read.
"""

from __future__ import annotations

import asyncio
import logging

log = logging.getLogger(__name__)

QUIET_SECONDS = 5.0
"""A catalogue agent with nothing to do for so long has caught up, whatever the offsets say: compaction and
transactions leave gaps at the end of a partition."""


class CatalogueGate:
    """Closed at first; opened once and for all."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether events pass."""
        return self._opened.is_set()

    async def wait(self) -> None:
        """Return when events may pass."""
        await self._opened.wait()

    def look(self, missing: int, quiet_seconds: float) -> None:
        """Open when no item is missing, or nothing has moved for ``QUIET_SECONDS``."""
        if not self.is_open and (missing == 0 or quiet_seconds > QUIET_SECONDS):
            log.info("the catalogue is stored; events may pass")
            self._opened.set()
