"""From the topics to the open pages: one bounded queue a page, and nobody waits for a slow one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MOST_PAGES = 64
QUEUED = 32
HEARTBEAT_SECONDS = 10.0


class Notice(NamedTuple):
    """One server-sent event."""

    event: str
    data: dict[str, Any]


@dataclass(eq=False)
class Page:
    """An open page: whose it is, and what it has not been told yet; ``None`` ends it."""

    user_id: str
    queue: asyncio.Queue[Notice | None] = field(default_factory=lambda: asyncio.Queue(QUEUED))

    def tell(self, notice: Notice | None) -> None:
        """Queue a notice; where the page does not keep up, the oldest is dropped: newer lists replace it."""
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(notice)

    async def notices(self) -> AsyncIterator[Notice | None]:
        """What to send, until the page is ended; ``None`` is a heartbeat, after so long without anything."""
        while True:
            notice: Notice | None = None
            with suppress(TimeoutError):
                notice = await asyncio.wait_for(self.queue.get(), HEARTBEAT_SECONDS)
                if notice is None:
                    return
            yield notice


class Hub:
    """The open pages. All methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._pages: set[Page] = set()

    def __len__(self) -> int:
        return len(self._pages)

    @property
    def full(self) -> bool:
        """Whether no more pages are taken."""
        return len(self._pages) >= MOST_PAGES

    @contextmanager
    def open(self, user_id: str) -> Iterator[Page]:
        """A page that hears of everything while the block lasts."""
        page = Page(user_id)
        self._pages.add(page)
        try:
            yield page
        finally:
            self._pages.discard(page)

    def watches(self, user_id: str) -> bool:
        """Whether a page shows this user."""
        return any(page.user_id == user_id for page in self._pages)

    def tell_user(self, user_id: str, notice: Notice) -> None:
        """To the pages that show a user."""
        for page in self._pages:
            if page.user_id == user_id:
                page.tell(notice)

    def tell_all(self, notice: Notice) -> None:
        """To every page."""
        for page in self._pages:
            page.tell(notice)

    def close(self) -> None:
        """End every page: a handler that waits on its queue would hold the server's shutdown up."""
        for page in self._pages:
            page.tell(None)
