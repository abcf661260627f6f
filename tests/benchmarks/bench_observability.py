"""What logs and traces cost; prints one JSON object.

Run it from the repository: ``python tests/benchmarks/bench_observability.py``. Figures are processor time of
the process, microseconds: an event at info, with tracing off and on (each event with a ``traceparent``, spans
encoded as for a receiver), in batches of 256; and a line of the log.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from exporters.opentelemetry_tracer import OpenTelemetryTracer
from exporters.publisher import Outgoing
from exporters.tracing import UNTRACED, Tracer, following, span
from streams.logs import bound, logging_config
from streams.places import ranges_of
from streams.settings_sections import LogSettings
from tests.fakes.kafka_messages import click
from tests.support.traces import traceparent

BATCH, ROUNDS = 256, 40
STAGES = ("decode", "state", "encode", "pairs", "recommend", "retrieve", "rank", "upsert", "publish")
EVENTS = [
    replace(click(f"u{n}", "a", n, partition=n % 4), headers=(("traceparent", traceparent(n + 1)),))
    for n in range(BATCH)
]
LISTS = [Outgoing("recommendations", b"", b"") for _ in EVENTS]


class Encoding(SpanExporter):
    """Does what sending takes, and sends nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def main() -> None:
    """Measure and print."""
    told = logging_config(LogSettings(format="json"))
    told["handlers"]["json"] |= {"class": "logging.FileHandler", "filename": os.devnull}
    logging.config.dictConfig(told)
    tracer = OpenTelemetryTracer("bench", 1.0, BatchSpanProcessor(Encoding(), max_queue_size=100_000))
    figures = {
        "logging_us_per_event": per_event(in_context),
        "tracing_off_us_per_event": per_event(lambda: traced(UNTRACED)),
        "tracing_on_us_per_event": per_event(lambda: traced(tracer), tracer.close),
        "line_us": per_event(lines),
    }
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


def in_context() -> None:
    """What is bound for every batch, whether a line is logged or not."""
    with bound(agent="interest", batch=ranges_of(EVENTS)):
        pass


def traced(tracer: Tracer) -> None:
    """A batch with its stages and its lists."""
    with tracer.batch("interest", EVENTS):
        for name in STAGES:
            with span(name):
                pass
        following(LISTS, EVENTS)


def lines() -> None:
    """A line for every event."""
    log = logging.getLogger("streams.bench")
    with bound(agent="interest", batch=ranges_of(EVENTS)):
        for one in EVENTS:
            log.warning("dead letters: %s", "truncated", extra={"offset": one.offset})


def per_event(work: Callable[[], None], end: Callable[[], None] = lambda: None) -> float:
    """Microseconds of processor time an event, everything that it leaves behind included."""
    work()
    start = process_time()
    for _ in range(ROUNDS):
        work()
    end()
    return (process_time() - start) * 1e6 / (ROUNDS * BATCH)


if __name__ == "__main__":
    main()
