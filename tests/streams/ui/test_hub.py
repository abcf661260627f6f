"""Pages and their queues: who hears what, and that a slow page holds nobody up."""

from __future__ import annotations

import asyncio

import pytest

from streams.ui import hub as hub_module
from streams.ui.hub import QUEUED, Hub, Notice


def notice(n: int) -> Notice:
    return Notice("list", {"n": n})


async def test_only_the_pages_of_a_user_hear_of_its_lists() -> None:
    hub = Hub()
    with hub.open("ann") as ann, hub.open("ben") as ben:
        hub.tell_user("ann", notice(1))
        assert (ann.queue.qsize(), ben.queue.qsize()) == (1, 0)


async def test_a_slow_page_loses_the_oldest_notices() -> None:
    hub = Hub()
    with hub.open("ann") as page:
        for n in range(QUEUED + 5):
            hub.tell_all(notice(n))
        assert page.queue.get_nowait() == notice(5)
        assert page.queue.qsize() == QUEUED - 1


async def test_closing_ends_a_page_whose_queue_is_full() -> None:
    hub = Hub()
    with hub.open("ann") as page:
        for n in range(QUEUED):
            hub.tell_all(notice(n))
        hub.close()
        told = [one async for one in page.notices()]
    assert told == [notice(n) for n in range(1, QUEUED)]


async def test_silence_is_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "HEARTBEAT_SECONDS", 0.01)
    with Hub().open("ann") as page:
        assert await asyncio.wait_for(anext(page.notices()), 5) is None


async def test_a_page_that_is_gone_is_forgotten() -> None:
    hub = Hub()
    with hub.open("ann"):
        assert hub.watches("ann")
    assert not hub.watches("ann")
    assert len(hub) == 0
