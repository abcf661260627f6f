"""Traces for tests: a tracer whose spans stay in memory, a receiver of OTLP, W3C contexts to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
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


class OtlpReceiver:
    """Takes traces over OTLP/HTTP on loopback, as a collector does; a context manager."""

    def __init__(self) -> None:
        self.spans: list[OtlpSpan] = []
        self.services: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    def __enter__(self) -> OtlpReceiver:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def names(self, trace_id: int) -> set[str]:
        """Of the spans in a trace."""
        return {span.name for span in self.spans if int.from_bytes(span.trace_id) == trace_id}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                    attributes = {one.key: one.value.string_value for one in group.resource.attributes}
                    receiver.services.add(attributes["service.name"])
                    receiver.spans += [span for scope in group.scope_spans for span in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        return Handler
