"""What a process logs: one line a record, an object each where that is asked for, with the batch at work."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from encoders.errors import BrokerUnavailable, StoreError
from streams.composition import Parts
from streams.consume import carry_out
from streams.fold_types import Received
from streams.http_errors import errors_as_json
from streams.logs import bound, logging_config
from streams.places import ranges_of
from streams.settings_sections import LogSettings
from tests.fakes.kafka_messages import click, message, purchase
from tests.fakes.wired_worker import WiredWorker, policy
from tests.support.workers import clean_environment

log = logging.getLogger("streams.any")


class Log:
    """What is logged meanwhile, by a format."""

    def __init__(self, settings: LogSettings) -> None:
        self._stream = StringIO()
        config = logging_config(settings)["formatters"][settings.format]
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                processors=config["processors"], foreign_pre_chain=config["foreign_pre_chain"]
            )
        )

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def attached(settings: LogSettings) -> Iterator[Log]:
    root, made = logging.getLogger(), Log(settings)
    before = root.level
    root.setLevel(settings.level)
    root.addHandler(made.handler)
    yield made
    root.removeHandler(made.handler)
    root.setLevel(before)


@pytest.fixture
def logged() -> Iterator[Log]:
    yield from attached(LogSettings(format="json"))


@pytest.fixture
def debugged() -> Iterator[Log]:
    yield from attached(LogSettings(format="json", level="DEBUG"))


@pytest.fixture
def console() -> Iterator[Log]:
    yield from attached(LogSettings())


@pytest.fixture
def worker() -> Iterator[WiredWorker]:
    made = WiredWorker(policy=policy(wait_ms=0))
    yield made
    made.close()


def test_a_line_has_time_level_logger_and_event_first(logged: Log) -> None:
    log.warning("%d of %d", 3, 4)
    (line,) = logged.lines
    assert list(line)[:4] == ["timestamp", "level", "logger", "event"]
    assert (line["level"], line["logger"], line["event"]) == ("warning", "streams.any", "3 of 4")


def test_the_time_is_of_utc_by_rfc_3339(logged: Log) -> None:
    log.info("now")
    told = logged.lines[0]["timestamp"]
    assert told.endswith("Z")
    assert datetime.fromisoformat(told).utcoffset() == timedelta(0)


def test_what_is_named_beside_the_event_is_a_field(logged: Log) -> None:
    log.info("set aside", extra={"offset": 7})
    assert logged.lines[0]["offset"] == 7


def test_text_of_several_lines_stays_one_line(logged: Log) -> None:
    # Formatted, not logged: what is logged goes into a report, which cannot hold half a character.
    record = logging.makeLogRecord({"msg": "first\nsecond \ud800", "levelno": logging.INFO})
    line = logged.handler.format(record)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["event"] == "first\nsecond \ud800"


def test_a_fault_is_an_object_of_its_frames_without_their_variables(logged: Log) -> None:
    secret = "hunter2"
    try:
        raise StoreError("refused")
    except StoreError:
        log.exception("the batch failed")
    (fault,) = logged.lines[0]["exception"]
    assert (fault["exc_type"], fault["exc_value"]) == ("StoreError", "refused")
    assert fault["frames"][-1]["name"] == "test_a_fault_is_an_object_of_its_frames_without_their_variables"
    assert secret not in logged.text


def test_the_console_quotes_a_message_on_one_line_without_colours(console: Log) -> None:
    log.info("bad key\n2026-01-01 forged")
    assert len(console.text.splitlines()) == 1
    assert "\x1b" not in console.text


def test_what_is_bound_is_on_every_line_until_it_ends(logged: Log) -> None:
    with bound(agent="interest"):
        log.info("inside")
    log.info("outside")
    assert [line.get("agent") for line in logged.lines] == ["interest", None]


def test_a_batch_is_told_by_the_range_of_each_partition() -> None:
    batch = [click("u", "a", 7), purchase("u", "a", 3), click("u", "a", 5), click("u", "a", 9, partition=1)]
    assert ranges_of(batch) == [
        {"topic": "clicks", "partition": 0, "first": 5, "last": 7},
        {"topic": "purchases", "partition": 0, "first": 3, "last": 3},
        {"topic": "clicks", "partition": 1, "first": 9, "last": 9},
    ]


async def test_lines_of_a_batch_carry_it_from_its_threads_too(logged: Log, worker: WiredWorker) -> None:
    failed = iter([BrokerUnavailable("away")])

    async def process(messages: Sequence[Received]) -> None:
        await worker.serving.in_thread(log.info, "in a thread")
        for error in failed:
            raise error

    worker_parts = cast(Parts, SimpleNamespace(serving=worker.serving))
    await carry_out(process, [click("u", "a", 4), click("v", "b", 6)], "interest", worker_parts, 60.0)
    batch = [{"topic": "clicks", "partition": 0, "first": 4, "last": 6}]
    assert [(line["agent"], line["batch"]) for line in logged.lines] == [("interest", batch)] * 3


async def test_dead_letters_of_a_reason_are_one_line_with_the_first_ones_place(
    logged: Log, worker: WiredWorker
) -> None:
    await worker.interest.process([message("clicks", b"ann", b"{", offset=5 + n) for n in range(3)])
    (line,) = logged.lines
    told = {name: line[name] for name in ("topic", "partition", "offset", "reason", "count")}
    assert told == {"topic": "clicks", "partition": 0, "offset": 5, "reason": "malformed_json", "count": 3}


async def test_an_event_that_the_fold_refuses_is_told_as_well(logged: Log, worker: WiredWorker) -> None:
    await worker.interest.process([click("ann", "no such item", 8)])
    assert [(line["reason"], line["offset"]) for line in logged.lines] == [("unknown_item", 8)]


async def test_what_became_of_each_event_is_told_at_debug(debugged: Log, worker: WiredWorker) -> None:
    await worker.stock("a")
    await worker.interest.process([click("ann", "a", 0, event_id="e"), click("ann", "a", 1, event_id="e")])
    told = [(line["event"], line["offset"]) for line in debugged.lines if "offset" in line]
    assert told == [("duplicate", 1)]


async def test_a_good_batch_logs_nothing_at_info_and_no_user_ever(logged: Log, worker: WiredWorker) -> None:
    await worker.stock("a")
    await worker.interest.process([click("ann", "a", 0)])
    assert logged.text == ""
    await worker.interest.process([click("ann", "?", 1), message("clicks", b"ann", b'{"user_id": "ann"}')])
    assert len(logged.lines) == 2
    assert "ann" not in logged.text


async def test_a_fault_over_http_names_the_route_and_not_the_user(logged: Log) -> None:
    async def fails(request: web.Request) -> web.Response:
        raise StoreError("refused")

    app = web.Application(middlewares=[errors_as_json])
    app.router.add_get("/recommendations/{user_id}", fails)
    async with TestClient(TestServer(app)) as client:
        await client.get("/recommendations/ann")
    told = [line for line in logged.lines if line["logger"] == "streams.http_errors"]
    assert [line["event"] for line in told] == ["GET /recommendations/{user_id}"]


def test_a_context_that_is_gone_is_no_fault() -> None:
    with ThreadPoolExecutor(1) as thread:
        binding = bound(agent="x")
        thread.submit(binding.__enter__).result()
    binding.__exit__(None, None, None)


PROCESS = """
import warnings
from streams.logs import configure_logging, tell_end
from streams.settings_sections import LogSettings

configure_logging(LogSettings(format="{format}"))
warnings.warn("careful")
tell_end("no broker")
raise KeyError("x")
"""


def process_log(form: str) -> list[str]:
    command = [sys.executable, "-c", PROCESS.format(format=form)]
    ended = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
    return ended.stderr.splitlines()


def test_warnings_the_end_and_what_nobody_caught_are_objects_too() -> None:
    lines = [json.loads(line) for line in process_log("json")]
    assert [line["level"] for line in lines] == ["warning", "critical", "critical"]
    assert lines[1]["event"] == "no broker"
    assert lines[2]["exception"][0]["exc_type"] == "KeyError"


def test_whoever_reads_a_terminal_gets_a_sentence_and_a_traceback() -> None:
    lines = process_log("console")
    assert lines[1] == "freshet: no broker"
    assert lines[-1] == "KeyError: 'x'"
