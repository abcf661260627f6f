"""Traces by OpenTelemetry, sent over OTLP/HTTP. Needs the extra ``tracing``.

A batch is a trace of its own, since its events are of many: its span links to each of theirs, and each event
that is traced has a span in its own trace, which links back. The standard ``OTEL_*`` variables hold for
everything that is not set here: headers of the receiver, resource attributes, the service's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.metadata import version
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes, AttributeValue

from exporters.publisher import Headers
from exporters.tracing import NOTHING, Answered, Message, at_work

CONTEXT = ("traceparent", "tracestate")
LONGEST_BYTES = 512
MOST_LINKS = 10_000
"""As many as a batch has events, at most."""
SEND_SECONDS = 5.0
_w3c = TraceContextTextMapPropagator()


class OfLinks(Sampler):
    """For spans without a parent: recorded where one that they link to is; without any link, by ``ratio``."""

    def __init__(self, ratio: float) -> None:
        self._alone = TraceIdRatioBased(ratio)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """The decision."""
        sampler: Sampler = self._alone
        if links:
            sampler = ALWAYS_ON if any(one.context.trace_flags.sampled for one in links) else ALWAYS_OFF
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links)

    def get_description(self) -> str:
        """For whoever prints the sampler."""
        return f"OfLinks({self._alone.get_description()})"


def otlp(endpoint: str) -> SpanProcessor:
    """Sends spans in the background to an OTLP/HTTP receiver; drops them where it is away."""
    return BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=SEND_SECONDS))


class OpenTelemetryTracer:
    """See ``exporters.tracing.Tracer``; spans go to ``processor``."""

    def __init__(self, service: str, ratio: float, processor: SpanProcessor) -> None:
        """``service`` names the process; ``ratio`` of what nobody else decided about is recorded."""
        resource = Resource({"service.name": service, "service.version": version("freshet")})
        self._provider = TracerProvider(
            sampler=ParentBased(OfLinks(ratio)),
            resource=resource.merge(OTELResourceDetector().detect()),
            span_limits=SpanLimits(max_links=MOST_LINKS),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("freshet", version("freshet"))

    @contextmanager
    def batch(self, agent: str, messages: Sequence[Message]) -> Iterator[None]:
        """A span for the batch, and one for each of its messages that is traced."""
        found = [(message, _context_of(message.headers)) for message in messages]
        links = [Link(one) for _, context in found if (one := _span_context(context)).is_valid]
        with ExitStack() as ended:
            whole = ended.enter_context(
                self._tracer.start_span(
                    f"process {agent} batch",
                    Context(),
                    SpanKind.CONSUMER,
                    {"messaging.system": "kafka", "messaging.batch.message_count": len(messages)},
                    links,
                )
            )
            back = [Link(whole.get_span_context())]
            own = {
                _place(message): ended.enter_context(self._of_message("process", message, context, back))
                for message, context in found
                if _span_context(context).trace_flags.sampled
            }
            ended.enter_context(at_work(Traced(self._tracer, whole, own)))
            yield

    @contextmanager
    def job(self, name: str, message: Message) -> Iterator[None]:
        """A span in the message's trace."""
        context = _context_of(message.headers)
        with (
            self._of_message(name, message, context) as own,
            at_work(Traced(self._tracer, own, {_place(message): own})),
        ):
            yield

    @contextmanager
    def request(self, method: str, route: str, headers: Mapping[str, str]) -> Iterator[Answered]:
        """A span in the caller's trace."""
        context = _w3c.extract({name: headers[name] for name in CONTEXT if name in headers}, Context())
        known: dict[str, AttributeValue] = {"http.request.method": method, "http.route": route}

        def answered(status: int) -> None:
            own.set_attribute("http.response.status_code", status)
            if status >= 500:
                own.set_status(StatusCode.ERROR)

        with (
            self._tracer.start_span(f"{method} {route}", context, SpanKind.SERVER, known) as own,
            at_work(Traced(self._tracer, own, {})),
        ):
            yield answered

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    def _of_message(
        self, what: str, message: Message, context: Context, links: Sequence[Link] = ()
    ) -> AbstractContextManager[Span]:
        known: dict[str, AttributeValue] = {
            "messaging.system": "kafka",
            "messaging.destination.name": message.topic,
            "messaging.destination.partition.id": str(message.partition),
            "messaging.kafka.offset": message.offset,
        }
        return self._tracer.start_span(f"{what} {message.topic}", context, SpanKind.CONSUMER, known, links)


class Place(NamedTuple):
    """Where a message is; ``topic`` without its prefix."""

    topic: str
    partition: int
    offset: int


class Traced:
    """See ``exporters.tracing.Trace``: the span at work, and those of a batch's messages."""

    def __init__(self, tracer: Tracer, own: Span, messages: Mapping[Place, Span]) -> None:
        self._tracer, self._own, self._messages = tracer, own, messages

    def span(self, name: str) -> AbstractContextManager[None]:
        """A child of the span at work, where that is recorded."""
        return self._part(name) if self._own.is_recording() else NOTHING

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        with (
            self._tracer.start_span(name, set_span_in_context(self._own, Context())) as part,
            at_work(Traced(self._tracer, part, self._messages)),
        ):
            yield

    def after(self, cause: Message) -> Headers:
        """The context of the message's own span; without one, what the message brought with it."""
        own = self._messages.get(_place(cause))
        return _headers(_context_of(cause.headers) if own is None else set_span_in_context(own, Context()))

    def headers(self) -> Headers:
        """The context of the span at work."""
        return _headers(set_span_in_context(self._own, Context()))

    def note(self, message: Message, outcome: str) -> None:
        """An attribute of the message's own span."""
        if (own := self._messages.get(_place(message))) is not None:
            own.set_attribute("freshet.outcome", outcome)

    def ids(self) -> Mapping[str, str]:
        """Of the span at work, in hexadecimal; nothing where it is not recorded."""
        if not self._own.is_recording():
            return {}
        context = self._own.get_span_context()
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _place(message: Message) -> Place:
    return Place(message.topic, message.partition, message.offset)


def _context_of(headers: Headers) -> Context:
    """What a message's headers say; nothing where they are malformed, or said twice."""
    carrier: dict[str, str] = {}
    for name, value in headers:
        if name in CONTEXT and value is not None:
            if name in carrier or len(value) > LONGEST_BYTES:
                return Context()
            carrier[name] = value.decode("latin-1")
    return _w3c.extract(carrier, Context()) if carrier else Context()


def _span_context(context: Context) -> SpanContext:
    return get_current_span(context).get_span_context()


def _headers(context: Context) -> Headers:
    carrier: dict[str, str] = {}
    _w3c.inject(carrier, context)
    return [(name, value.encode("latin-1")) for name, value in carrier.items()]
