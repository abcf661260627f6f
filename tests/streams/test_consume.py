"""The loop inside an agent: outages are waited out, faults end the process, no early acknowledgement."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from encoders.errors import BrokerUnavailable, StoreError, StoreUnavailable
from exporters.metrics import Metrics
from exporters.tracing import UNTRACED
from streams import consume as module
from streams.composition import Parts
from streams.consume import EXIT_SOFTWARE, EXIT_UNAVAILABLE, carry_out, consume, received
from streams.fold_types import Received
from streams.progress import Progress
from streams.settings import load_settings
from tests.fakes.kafka_messages import NOW_MS, click

BATCH = [click("u", "a", 0), click("u", "b", 1)]


class Died(BaseException):
    """What the process would have ended with."""

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


@pytest.fixture(autouse=True)
def death_and_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process does not really end, and pauses are short."""

    def die(reason: str, exit_code: int) -> NoReturn:
        raise Died(reason, exit_code)

    monkeypatch.setattr(module, "die", die)
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 0.002)


def parts() -> Parts:
    serving = SimpleNamespace(metrics=Metrics(), tracer=UNTRACED)
    return cast(Parts, SimpleNamespace(serving=serving, progress=Progress()))


class Failing:
    """A ``process`` that raises the given errors, one a call, and then succeeds."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls: list[Sequence[Received]] = []

    async def __call__(self, messages: Sequence[Received]) -> None:
        self.calls.append(messages)
        if self.errors:
            raise self.errors.pop(0)


def run(process: Callable[[Sequence[Received]], Awaitable[None]], outage_seconds: float = 60.0) -> None:
    asyncio.run(carry_out(process, BATCH, "interest", parts(), outage_seconds))


def test_a_passing_outage_is_waited_out_and_the_same_batch_repeated() -> None:
    process = Failing(StoreUnavailable("away"), BrokerUnavailable("away"), StoreUnavailable("away"))
    run(process)
    assert process.calls == [BATCH] * 4


def test_retries_are_counted() -> None:
    worker = parts()
    asyncio.run(carry_out(Failing(StoreUnavailable("away")), BATCH, "interest", worker, 60.0))
    sample = worker.serving.metrics.registry.get_sample_value
    assert sample("freshet_batch_retries_total", {"agent": "interest"}) == 1


def test_an_outage_beyond_the_bound_ends_the_worker_as_unavailable() -> None:
    with pytest.raises(Died, match="gave up after 0 s: away") as caught:
        run(Failing(*[StoreUnavailable("away")] * 1_000), outage_seconds=0.01)
    assert caught.value.exit_code == EXIT_UNAVAILABLE == 69


@pytest.mark.parametrize("error", [KeyError("x"), StoreError("refused"), MemoryError(), SystemExit(0)])
def test_a_fault_that_repeating_cannot_mend_ends_the_worker(error: BaseException) -> None:
    process = Failing(error)
    with pytest.raises(Died) as caught:
        run(process)
    assert (caught.value.exit_code, len(process.calls)) == (EXIT_SOFTWARE, 1)
    assert EXIT_SOFTWARE == 70


async def test_cancelling_passes_through() -> None:
    task = asyncio.create_task(carry_out(asleep, BATCH, "interest", parts(), 60.0))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def asleep(messages: Sequence[Received]) -> None:
    await asyncio.sleep(60)


async def test_cancelling_passes_through_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 60.0)
    task = asyncio.create_task(carry_out(Failing(StoreUnavailable("away")), BATCH, "interest", parts(), 60.0))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_closing_a_pending_batch_is_no_fault() -> None:
    pending = carry_out(asleep, BATCH, "interest", parts(), 60.0)
    pending.send(None)
    pending.close()


class FakeEvent:
    """Faust's event: a message and an acknowledgement that is logged."""

    def __init__(self, offset: int, log: list[str]) -> None:
        self.message = SimpleNamespace(
            topic="t-clicks",
            partition=3,
            offset=offset,
            key=b"u",
            value=b"{}",
            timestamp=NOW_MS / 1000,
            headers=[("ce_id", b"e1")] if offset else None,
        )
        self._log = log

    def ack(self) -> None:
        self._log.append(f"ack {self.message.offset}")


class FakeStream:
    """Faust's stream: two batches of two."""

    def __init__(self, log: list[str]) -> None:
        self._log = log
        self.asked: list[tuple[int, float]] = []

    async def noack_take(self, size: int, within: float) -> AsyncIterator[list[FakeEvent]]:
        self.asked.append((size, within))
        for start in (0, 2):
            yield [FakeEvent(start, self._log), FakeEvent(start + 1, self._log)]


def consume_all(process: Callable[[Sequence[Received]], Awaitable[None]], log: list[str]) -> Parts:
    settings = load_settings(kafka={"topic_prefix": "t-"}, batch={"max_events": 2})
    worker = parts()
    take = FakeStream(log).noack_take(2, within=0.02)
    asyncio.run(consume(take, process, "interest", worker, settings))
    return worker


def logging_process(log: list[str]) -> Callable[[Sequence[Received]], Awaitable[None]]:
    async def process(messages: Sequence[Received]) -> None:
        log.append(f"done {[one.offset for one in messages]}")

    return process


def test_a_batch_is_acknowledged_in_order_after_it_is_done() -> None:
    log: list[str] = []
    consume_all(logging_process(log), log)
    assert log == ["done [0, 1]", "ack 0", "ack 1", "done [2, 3]", "ack 2", "ack 3"]


def test_nothing_of_a_batch_that_failed_is_acknowledged() -> None:
    log: list[str] = []
    with pytest.raises(Died):
        consume_all(Failing(KeyError("x")), log)
    assert log == []


def test_progress_is_what_was_acknowledged() -> None:
    log: list[str] = []
    assert consume_all(logging_process(log), log).progress.lag({("clicks", 3): 10}) == {("clicks", 3): 6}


def test_a_message_loses_its_topics_prefix_and_nothing_else() -> None:
    message: Any = FakeEvent(7, []).message
    assert received(message, "t-") == Received(
        "clicks", 3, 7, b"u", b"{}", NOW_MS, headers=(("ce_id", b"e1"),)
    )


def test_dying_ends_the_process_at_once_with_the_exit_code() -> None:
    program = """
        import atexit
        from streams.consume import die
        atexit.register(print, "exit handlers ran")
        try:
            die("the reason", 69)
        finally:
            print("cleanup ran")
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (69, "")
    assert "the reason" in ended.stderr
