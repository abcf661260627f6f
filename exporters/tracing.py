"""Traces: what took how long, from a producer's event to its recommendation. Off, unless it is turned on.

Whoever starts something (a batch, a request, a job) asks a :class:`Tracer`; what is done meanwhile, in other
threads too, asks for a :func:`span` and knows no tracer. Nothing here imports OpenTelemetry:
``exporters.opentelemetry_tracer`` does, where tracing is on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import Protocol

from exporters.publisher import Headers, Outgoing

Answered = Callable[[int], None]
"""Told the status of a request."""


class Message(Protocol):
    """A message as Kafka gave it."""

    @property
    def topic(self) -> str:
        """Without its prefix."""

    @property
    def partition(self) -> int:
        """From 0 on."""

    @property
    def offset(self) -> int:
        """From 0 on."""

    @property
    def headers(self) -> Headers:
        """As received."""


class Tracer(Protocol):
    """Begins traces, or goes on with those that W3C ``traceparent`` headers name; malformed ones are none."""

    def batch(self, agent: str, messages: Sequence[Message]) -> AbstractContextManager[None]:
        """The batch of an agent: a trace of its own, linked with that of each message."""

    def job(self, name: str, message: Message) -> AbstractContextManager[None]:
        """What one message asks for, in its trace."""

    def request(
        self, method: str, route: str, headers: Mapping[str, str]
    ) -> AbstractContextManager[Answered]:
        """An HTTP request, in the caller's trace; ``route`` is a pattern, without anybody's id."""

    def close(self) -> None:
        """Send what is left; blocks for some seconds at most."""


class Untraced:
    """Tracing is off."""

    def batch(self, agent: str, messages: Sequence[Message]) -> AbstractContextManager[None]:
        """Nothing."""
        return NOTHING

    def job(self, name: str, message: Message) -> AbstractContextManager[None]:
        """Nothing."""
        return NOTHING

    def request(
        self, method: str, route: str, headers: Mapping[str, str]
    ) -> AbstractContextManager[Answered]:
        """Nothing."""
        return nullcontext(lambda status: None)

    def close(self) -> None:
        """Nothing to send."""


UNTRACED = Untraced()


class Trace(Protocol):
    """What is being traced right now."""

    def span(self, name: str) -> AbstractContextManager[None]:
        """A part of it."""

    def after(self, cause: Message) -> Headers:
        """What a message that follows from ``cause`` carries."""

    def headers(self) -> Headers:
        """What a message that follows from the batch or job as a whole carries."""

    def note(self, message: Message, outcome: str) -> None:
        """What became of one message of the batch."""

    def ids(self) -> Mapping[str, str]:
        """``trace_id`` and ``span_id``, for the log."""


NOTHING: AbstractContextManager[None] = nullcontext()
_now: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def at_work(trace: Trace) -> Iterator[None]:
    """Whatever is done meanwhile is a part of this trace."""
    token = _now.set(trace)
    try:
        yield
    finally:
        # A coroutine may be closed from another context than its own; that one is gone with it.
        with suppress(ValueError):
            _now.reset(token)


def span(name: str) -> AbstractContextManager[None]:
    """A part of what is traced right now; nothing where nothing is."""
    trace = _now.get()
    return NOTHING if trace is None else trace.span(name)


def note(message: Message, outcome: str) -> None:
    """What became of one message of the batch that is traced, if one is."""
    if (trace := _now.get()) is not None:
        trace.note(message, outcome)


def following(messages: list[Outgoing], causes: Iterable[Message]) -> list[Outgoing]:
    """The messages with the trace of what caused each of them; as they are where nothing is traced."""
    trace = _now.get()
    if trace is None:
        return messages
    return [
        replace(one, headers=(*one.headers, *trace.after(cause)))
        for one, cause in zip(messages, causes, strict=True)
    ]


def trace_headers() -> Headers:
    """What a message that follows from the batch as a whole carries; nothing where nothing is traced."""
    trace = _now.get()
    return () if trace is None else trace.headers()


def trace_ids() -> Mapping[str, str]:
    """``trace_id`` and ``span_id`` of what is traced right now, for the log."""
    trace = _now.get()
    return {} if trace is None else trace.ids()
