"""How every process of Freshet logs: one line a record on stderr, for people or as one JSON object.

Whoever logs uses the standard library, and names what is worth searching for in ``extra``; structlog renders
it, libraries' records included, with what :func:`bound` binds (the batch at work).
"""

from __future__ import annotations

import logging.config
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from exporters.tracing import trace_ids
from streams.settings_sections import LogSettings

NOISY = (
    "faust",
    "mode",
    "aiokafka",
    "kafka",
    "httpx",
    "httpcore",
    "asyncio",
    "onnxscript",
    "onnx_ir",
    "torch",
    "opentelemetry",
    "urllib3",
)
FIRST = ("timestamp", "level", "logger", "event")
log = logging.getLogger(__name__)


def configure_logging(settings: LogSettings) -> None:
    """Take over this process's logging: every logger, warnings, and what nobody catches."""
    logging.config.dictConfig(logging_config(settings))
    logging.captureWarnings(True)
    sys.excepthook = _uncaught if settings.format == "json" else sys.__excepthook__


def logging_config(settings: LogSettings) -> dict[str, Any]:
    """A ``logging.config.dictConfig`` for Freshet's loggers; libraries only speak when they warn."""
    level = settings.level
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": COMMON,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings)],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {settings.format: formatter},
        # The handler's name is how the end of a process knows its format.
        "handlers": {settings.format: {"class": "logging.StreamHandler", "formatter": settings.format}},
        "root": {"level": level, "handlers": [settings.format]},
        "loggers": {name: {"level": "DEBUG" if level == "DEBUG" else "WARNING"} for name in NOISY}
        # It warns of every turn of its own loop that takes 0.1 s: nothing that anybody could mend.
        | {"kafka.net.selector": {"level": "DEBUG" if level == "DEBUG" else "ERROR"}},
    }


@contextmanager
def bound(**context: object) -> Iterator[None]:
    """Every line that is logged meanwhile, here and in ``Serving.in_thread``, carries these fields."""
    tokens = structlog.contextvars.bind_contextvars(**context)
    try:
        yield
    finally:
        # A coroutine may be closed from another context than its own; that one is gone with it.
        with suppress(ValueError):
            structlog.contextvars.reset_contextvars(**tokens)


def tell_end(message: str) -> None:
    """Say why a command ends: an object where logs are JSON, else a line for whoever typed it."""
    if any(handler.name == "json" for handler in logging.root.handlers):
        log.critical(message)
    else:
        print(f"freshet: {message}", file=sys.stderr)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("a fault that nobody caught", exc_info=(kind, error, trace))


def _first(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """What everybody looks for first, first."""
    return {field: event.pop(field) for field in FIRST} | dict(event)


def _on_one_line(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """What a message quotes must not look like a line of the log's own."""
    event["event"] = event["event"].strip().replace("\n", "\\n")
    return event


def _add_trace(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """What leads from a line to the trace of its batch."""
    event.update(trace_ids())
    return event


COMMON: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    _add_trace,
    structlog.stdlib.ExtraAdder(),
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _rendering(settings: LogSettings) -> list[Processor]:
    if settings.format == "json":
        # Without locals: they hold users and secrets.
        told = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [structlog.processors.ExceptionRenderer(told), _first, structlog.processors.JSONRenderer()]
    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    plain = structlog.dev.plain_traceback
    lines = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain, pad_event_to=0)
    return [_on_one_line, lines]
