"""Traces for tests: a tracer whose spans stay in memory, and W3C contexts to go on with."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from exporters.opentelemetry_tracer import OpenTelemetryTracer

TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SPAN_ID = 0x00F067AA0BA902B7


def traceparent(trace_id: int = TRACE_ID, *, sampled: bool = True) -> bytes:
    """As a producer sends it."""
    return f"00-{trace_id:032x}-{SPAN_ID:016x}-{sampled:02x}".encode()


def trace_id_of(headers: Sequence[tuple[str, bytes | None]]) -> int | None:
    """The trace that a message's headers name."""
    value = dict(headers).get("traceparent")
    return None if value is None else int(value.split(b"-")[1], 16)


class MemoryTracer(OpenTelemetryTracer):
    """Keeps what it records."""

    def __init__(self, ratio: float = 1.0) -> None:
        self._memory = InMemorySpanExporter()
        super().__init__("test", ratio, SimpleSpanProcessor(self._memory))

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """What has ended, by name; of several of a name the last."""
        return {span.name: span for span in self._memory.get_finished_spans()}


def context_ids(span: ReadableSpan) -> tuple[int, int]:
    """Its trace and itself."""
    assert span.context is not None
    return span.context.trace_id, span.context.span_id
