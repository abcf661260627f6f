"""Whose trace a span belongs to, what is recorded, and what a message carries on."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import StatusCode

from exporters.publisher import Headers, Outgoing
from exporters.tracing import UNTRACED, following, note, span, trace_headers, trace_ids
from streams.fold_types import Received
from tests.fakes.kafka_messages import click
from tests.support.traces import SPAN_ID, TRACE_ID, MemoryTracer, context_ids, trace_id_of, traceparent

BATCH = "process interest batch"
OTHER = TRACE_ID + 1


def event(offset: int, headers: Headers = ()) -> Received:
    return replace(click("ann", "a", offset), headers=headers)


def traced(offset: int, trace_id: int = TRACE_ID, *, sampled: bool = True) -> Received:
    return event(offset, [("traceparent", traceparent(trace_id, sampled=sampled))])


def run(tracer: MemoryTracer, messages: Sequence[Received]) -> None:
    with tracer.batch("interest", messages), span("decode"):
        pass


def carried(tracer: MemoryTracer, message: Received) -> Headers:
    """What a recommendation after this message carries."""
    with tracer.batch("interest", [message]):
        return following([Outgoing("recommendations", b"", b"")], [message])[0].headers


def test_a_batch_is_a_trace_of_its_own_linked_with_those_of_its_events() -> None:
    tracer = MemoryTracer()
    run(tracer, [traced(0), event(1), traced(2, OTHER)])
    batch = tracer.spans[BATCH]
    assert batch.parent is None
    assert [one.context.trace_id for one in batch.links] == [TRACE_ID, OTHER]


def test_an_event_has_a_span_in_its_own_trace_that_links_to_the_batch() -> None:
    tracer = MemoryTracer()
    run(tracer, [traced(7)])
    own = tracer.spans["process clicks"]
    assert own.parent is not None
    assert (context_ids(own)[0], own.parent.span_id) == (TRACE_ID, SPAN_ID)
    assert [one.context.trace_id for one in own.links] == [context_ids(tracer.spans[BATCH])[0]]


def test_a_span_says_where_its_event_is_and_nothing_of_the_user() -> None:
    tracer = MemoryTracer()
    run(tracer, [traced(7)])
    assert dict(tracer.spans["process clicks"].attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.destination.name": "clicks",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 7,
    }


def test_a_part_belongs_to_its_batch_and_parts_nest() -> None:
    tracer = MemoryTracer()
    with tracer.batch("interest", [event(0)]), span("recommend"), span("rank"):
        pass
    spans = tracer.spans
    parents = [spans[name].parent for name in ("recommend", "rank")]
    assert [one.span_id for one in parents if one] == [
        context_ids(spans[BATCH])[1],
        context_ids(spans["recommend"])[1],
    ]


def test_what_follows_an_event_goes_on_with_its_span() -> None:
    tracer = MemoryTracer()
    headers = carried(tracer, traced(0))
    trace_id, span_id = context_ids(tracer.spans["process clicks"])
    assert dict(headers)["traceparent"] == f"00-{trace_id:032x}-{span_id:016x}-01".encode()


def test_the_state_of_a_trace_is_carried_on() -> None:
    message = event(0, [("traceparent", traceparent()), ("tracestate", b"shop=7")])
    assert dict(carried(MemoryTracer(), message))["tracestate"] == b"shop=7"


def test_an_event_without_a_trace_is_followed_by_none() -> None:
    assert carried(MemoryTracer(), event(0)) == ()


def test_what_is_not_recorded_is_carried_on_as_it_came() -> None:
    headers = carried(MemoryTracer(), traced(0, sampled=False))
    assert dict(headers)["traceparent"] == traceparent(sampled=False)


@pytest.mark.parametrize(
    ("messages", "ratio", "recorded"),
    [
        ([traced(0)], 0.0, True),
        ([traced(0, sampled=False)], 1.0, False),
        ([traced(0, sampled=False), traced(1, OTHER)], 0.0, True),
        ([event(0)], 0.0, False),
        ([event(0)], 1.0, True),
    ],
    ids=["producer says yes", "producer says no", "one of them says yes", "ratio 0", "ratio 1"],
)
def test_a_batch_is_recorded_where_an_event_is_else_by_the_ratio(
    messages: list[Received], ratio: float, recorded: bool
) -> None:
    tracer = MemoryTracer(ratio)
    run(tracer, messages)
    assert (BATCH in tracer.spans, "decode" in tracer.spans) == (recorded, recorded)


def test_what_became_of_an_event_is_on_its_span() -> None:
    tracer = MemoryTracer()
    with tracer.batch("interest", [traced(0)]):
        note(traced(0), "duplicate")
    assert (tracer.spans["process clicks"].attributes or {})["freshet.outcome"] == "duplicate"


def test_a_fault_is_on_the_span() -> None:
    tracer = MemoryTracer()
    with pytest.raises(KeyError), tracer.batch("interest", [event(0)]):
        raise KeyError("x")
    assert tracer.spans[BATCH].status.status_code is StatusCode.ERROR


MALFORMED = [
    b"",
    b"garbage",
    b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    b"\xff\xfe",
    b"0" * 100_000,
]


@pytest.mark.parametrize("value", MALFORMED, ids=["empty", "garbage", "zeros", "version", "bytes", "long"])
def test_a_malformed_context_is_none(value: bytes) -> None:
    assert carried(MemoryTracer(), event(0, [("traceparent", value)])) == ()


def test_a_context_that_is_said_twice_is_none() -> None:
    twice = [("traceparent", traceparent()), ("traceparent", traceparent(OTHER))]
    assert carried(MemoryTracer(), event(0, twice)) == ()


@given(st.lists(st.tuples(st.sampled_from(["traceparent", "tracestate", "x"]), st.none() | st.binary())))
def test_no_header_does_any_harm(headers: list[tuple[str, bytes | None]]) -> None:
    run(MemoryTracer(), [event(0, headers)])


def test_a_request_goes_on_with_its_callers_trace() -> None:
    tracer = MemoryTracer()
    with tracer.request("GET", "/recommendations/{user_id}", {"traceparent": traceparent().decode()}) as tell:
        tell(503)
    own = tracer.spans["GET /recommendations/{user_id}"]
    assert context_ids(own)[0] == TRACE_ID
    assert (own.attributes or {})["http.response.status_code"] == 503
    assert own.status.status_code is StatusCode.ERROR


def test_a_job_goes_on_with_its_requests_trace_and_its_messages_with_the_job() -> None:
    tracer = MemoryTracer()
    with tracer.job("train", traced(0)):
        headers = trace_headers()
    assert context_ids(tracer.spans["train clicks"])[0] == trace_id_of(headers) == TRACE_ID


def test_the_log_is_told_which_trace_it_is() -> None:
    tracer = MemoryTracer()
    with tracer.job("train", traced(0)):
        ids = trace_ids()
    assert ids["trace_id"] == f"{TRACE_ID:032x}"


def test_nothing_is_traced_outside_or_where_tracing_is_off() -> None:
    messages = [Outgoing("recommendations", b"", b"")]
    with UNTRACED.batch("interest", [traced(0)]), span("decode"):
        note(traced(0), "applied")
        assert following(messages, iter(())) is messages
        assert (trace_headers(), trace_ids()) == ((), {})


def test_a_coroutine_that_is_closed_from_elsewhere_is_no_fault() -> None:
    async def batch() -> None:
        with MemoryTracer().batch("interest", [traced(0)]):
            await asyncio.sleep(60)

    pending = batch()
    contextvars.copy_context().run(asyncio.run, _step(pending))
    pending.close()


async def _step(pending: object) -> None:
    pending.send(None)  # type: ignore[attr-defined]


def test_service_and_attributes_are_told_by_the_standard_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-worker")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    tracer = MemoryTracer()
    run(tracer, [event(0)])
    attributes = tracer.spans[BATCH].resource.attributes
    assert attributes["service.name"] == "shop-worker"
    assert attributes["deployment.environment.name"] == "test"
