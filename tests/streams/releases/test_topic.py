"""The topic of releases: the highest number holds, older ones are refused, nothing unreadable counts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from exporters.metrics import Metrics
from streams.kafka.reader import Record
from streams.messages import ModelAt, ModelRelease
from streams.releases.topic import MAX_BYTES, decode_release, newest
from streams.releases.watch import ReleaseWatch
from streams.settings import KafkaSettings


def release(number: int, model: str = "m", version: str = "v1") -> ModelRelease:
    at = ModelAt(version=version, uri="models/v1", digest="0" * 64)
    return ModelRelease(model=model, number=number, champion=at, released_at=1)


def record(value: bytes | None, key: bytes | None = b"m") -> Record:
    return Record("model-releases", 0, 0, key, value, (), 0)


def watch(metrics: Metrics, latest: ModelRelease | None = None) -> ReleaseWatch:
    return ReleaseWatch(KafkaSettings(), "m", metrics, latest)


def refused(metrics: Metrics) -> float:
    return float(metrics.release_refusals.labels("number")._value.get())


def test_the_highest_number_holds() -> None:
    assert newest([release(2), release(3), release(1)])["m"].number == 3


def test_of_equal_numbers_the_first_holds() -> None:
    assert newest([release(2, version="a"), release(2, version="b")])["m"].champion.version == "a"


def test_models_have_releases_of_their_own() -> None:
    found = newest([release(2), None, release(1, model="other")])
    assert {name: one.number for name, one in found.items()} == {"m": 2, "other": 1}


def test_a_release_is_read_back() -> None:
    assert decode_release(record(msgspec.json.encode(release(4)))) == release(4)


@pytest.mark.parametrize(
    "value",
    [None, b"", b"{", b"[]", b"{}", b"\xff", b" " * (MAX_BYTES + 1)],
    ids=["null", "empty", "cut off", "a list", "no fields", "not UTF-8", "too large"],
)
def test_what_is_no_release_is_passed_over(value: bytes | None) -> None:
    assert decode_release(record(value)) is None


@pytest.mark.parametrize("changes", [{"digest": "abc"}, {"version": "../up"}, {"uri": ""}, {"items": -1}])
def test_a_release_of_an_impossible_version_is_passed_over(changes: dict[str, Any]) -> None:
    body = msgspec.to_builtins(release(1))
    assert (
        decode_release(record(msgspec.json.encode(body | {"champion": body["champion"] | changes}))) is None
    )


def test_a_release_under_another_models_key_is_passed_over() -> None:
    assert decode_release(record(msgspec.json.encode(release(1)), key=b"other")) is None


def test_the_watch_follows_the_numbers() -> None:
    metrics = Metrics()
    made = watch(metrics)
    made.take([release(1), release(2), None, release(9, model="other")])
    assert (made.latest and made.latest.number, refused(metrics)) == (2, 0)


def test_the_watch_refuses_what_is_older_than_what_came_before() -> None:
    metrics = Metrics()
    made = watch(metrics)
    made.take([release(3), release(2), release(3, version="late")])
    assert made.latest == release(3)
    assert refused(metrics) == 2


def test_what_was_known_at_the_start_is_not_refused_when_it_is_read_again() -> None:
    metrics = Metrics()
    made = watch(metrics, latest=release(2))
    made.take([release(1), release(2)])
    assert (made.latest, refused(metrics)) == (release(2), 0)
