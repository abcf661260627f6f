"""The JSON object that ends the demo."""

from __future__ import annotations

import json

import msgspec
import pytest

from encoders.errors import FreshetError
from streams.demo.report import DemoReport

REPORT = DemoReport(
    events_sent=100,
    events_applied=95,
    duplicates=2,
    dead_letters=3,
    users=7,
    items=50,
    recommendations_published=90,
    freshness_p50_ms=12.5,
    freshness_p99_ms=80.0,
    recall_at_10=0.25,
    recall_at_10_popularity=0.05,
    model_version="m1",
    seconds=4.0,
)


def test_the_fields_are_the_promised_ones() -> None:
    promised = (
        "events_sent, events_applied, duplicates, dead_letters, users, items, recommendations_published, "
        "freshness_p50_ms, freshness_p99_ms, recall_at_10, recall_at_10_popularity, model_version, seconds, "
        "drift_detected_after_events, training_seconds, released_version, recall_before, recall_at_worst, "
        "recall_after"
    )

    assert ", ".join(json.loads(REPORT.json())) == promised


def test_what_did_not_happen_is_null() -> None:
    told = json.loads(REPORT.json())

    assert [told[name] for name in ("drift_detected_after_events", "released_version", "recall_after")] == [
        None
    ] * 3


def test_json_is_one_line() -> None:
    assert "\n" not in REPORT.json()


def test_counts_that_add_up_pass() -> None:
    REPORT.check()


@pytest.mark.parametrize("field", ["events_applied", "duplicates", "dead_letters", "events_sent"])
def test_an_event_too_many_anywhere_is_an_error(field: str) -> None:
    wrong = msgspec.structs.replace(REPORT, **{field: getattr(REPORT, field) + 1})

    with pytest.raises(FreshetError, match="accounted for"):
        wrong.check()
