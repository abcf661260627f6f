from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import DataError
from streams.drift.population import BUCKETS
from streams.drift.summary import (
    MAX_BYTES,
    DriftSummary,
    decode_summary,
    encode_summary,
    merged,
    pack_counts,
    pack_scores,
    pack_texts,
)


def summary(seed: int, events: int = 20) -> DriftSummary:
    rng = np.random.default_rng(seed)
    return DriftSummary(
        model="shop",
        version="v1",
        serving_since_ms=5,
        from_ms=100 * seed,
        until_ms=100 * seed + events,
        events=events,
        category_counts=pack_counts(np.bincount(rng.integers(0, BUCKETS, events), minlength=BUCKETS)),
        item_counts=pack_counts(np.bincount(rng.integers(0, BUCKETS, events), minlength=BUCKETS)),
        cold_item_flags=bytes(rng.integers(0, 2, events).tolist()),
        cold_user_flags=bytes(rng.integers(0, 2, events).tolist()),
        ranks={"v1": bytes(rng.integers(0, 11, events // 2).tolist())},
        text_sample=pack_texts(rng.standard_normal((4, 32)).astype(np.float32)),
        score_sample=pack_scores(rng.random(5)),
    )


def test_a_summary_arrives_as_it_was_sent() -> None:
    assert decode_summary(encode_summary(summary(1))) == summary(1)


def test_two_summaries_add_up() -> None:
    first, second = summary(1), summary(2)
    both = merged(first, second, sample=100)
    assert both.events == 40
    assert (both.from_ms, both.until_ms) == (first.from_ms, second.until_ms)
    assert (both.items == first.items + second.items).all()
    assert (both.categories == first.categories + second.categories).all()
    assert both.ranks == {"v1": first.ranks["v1"] + second.ranks["v1"]}
    assert (both.texts == np.concatenate([first.texts, second.texts])).all()


def test_of_texts_and_scores_no_more_are_kept_than_told() -> None:
    both = merged(summary(1), summary(2), sample=3)
    assert (len(both.texts), len(both.scores)) == (3, 3)


@given(st.binary(max_size=300))
def test_any_other_bytes_are_refused(value: bytes) -> None:
    with pytest.raises(DataError, match="only workers"):
        decode_summary(value)


@pytest.mark.parametrize("value", [None, bytes(MAX_BYTES + 1)], ids=["nothing", "too large"])
def test_nothing_and_too_much_are_refused(value: bytes | None) -> None:
    with pytest.raises(DataError, match="empty or too large"):
        decode_summary(value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": 0},
        {"until_ms": -1},
        {"category_counts": b"12345678"},
        {"item_counts": pack_counts([-1] + [0] * 63)},
        {"item_counts": pack_counts([21] + [0] * 63)},
        {"cold_item_flags": bytes(21)},
        {"ranks": {"v1": bytes(21)}},
        {"ranks": {f"v{n}": b"" for n in range(9)}},
        {"text_sample": bytes(63)},
        {"text_sample": pack_texts(np.full((1, 32), np.nan, np.float32))},
        {"score_sample": pack_scores([np.inf])},
    ],
    ids=lambda wrong: "-".join(wrong),
)
def test_a_summary_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match="contradicts itself"):
        decode_summary(encode_summary(msgspec.structs.replace(summary(1), **wrong)))
