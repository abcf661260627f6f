"""The decision on made-up streams: what docs/drift.md states of false alarms and delays is held here."""

from __future__ import annotations

import msgspec
import pytest

from encoders.errors import StoreError
from streams.drift.monitor import DriftMonitor, Judgement, MonitorState, pack_state, unpack_state
from streams.drift.readings import Level
from streams.drift.summary import DriftSummary
from streams.messages import TrainingRequest
from streams.settings_sections import Detector, DriftSettings
from tests.support.drifting_shop import Behaviour, Shop, changed, judged

SETTINGS = DriftSettings()
BEFORE = 12_000
HOUR_MS = 3_600_000


def first_request(shop: Shop, behaviour: Behaviour, events: int) -> tuple[int, set[str]]:
    """Events from the change to the request, and the detectors that it names."""
    for seen, one in judged(shop, [(shop.behaviour, BEFORE), (behaviour, events)], SETTINGS):
        if one.request is not None:
            return seen - BEFORE, {reason.detector for reason in one.request.reasons}
    raise AssertionError("no request")


@pytest.mark.parametrize("seed", range(2))
def test_a_stream_that_does_not_change_is_no_alarm(seed: int) -> None:
    shop = Shop(seed)
    decisions = [one.decision for _, one in judged(shop, [(shop.behaviour, 100_000)], SETTINGS)]
    assert len(decisions) == 50
    assert set(decisions) <= {"learning", "none", "warning"}


@pytest.mark.parametrize("seed", range(2))
def test_another_mix_of_categories_is_found_within_8000_events(seed: int) -> None:
    shop = Shop(seed)
    shares = shop.behaviour.categories[::-1].copy()
    delay, detectors = first_request(shop, changed(shop.behaviour, categories=shares), 8_000)
    assert 0 < delay <= 8_000
    assert {"categories_psi", "interest_mmd"} <= detectors


@pytest.mark.parametrize("seed", range(2))
def test_other_popular_items_are_found_within_8000_events(seed: int) -> None:
    shop = Shop(seed)
    delay, detectors = first_request(shop, changed(shop.behaviour, popularity_seed=9), 8_000)
    assert 0 < delay <= 8_000
    assert "items_psi" in detectors


@pytest.mark.parametrize("seed", range(2))
def test_a_new_catalogue_is_found_within_4000_events(seed: int) -> None:
    shop = Shop(seed)
    delay, detectors = first_request(shop, changed(shop.behaviour, first_item=100, cold=True), 4_000)
    assert 0 < delay <= 4_000
    assert "cold_items_adwin" in detectors


@pytest.mark.parametrize("seed", range(2))
def test_half_of_the_accuracy_lost_is_found_within_8000_events(seed: int) -> None:
    shop = Shop(seed)
    delay, detectors = first_request(shop, changed(shop.behaviour, accuracy=0.05), 8_000)
    assert 0 < delay <= 8_000
    assert detectors & {f"{of}_{test}" for of in ("recall", "ndcg") for test in ("adwin", "page_hinkley")}


SMALL = DriftSettings(
    window_events=500,
    sample=64,
    least_scored=320,
    consecutive=2,
    cool_down_seconds=3_600,
    max_interval_seconds=86_400,
)
"""Windows of 500 events, so that a test is quick."""


def summaries(behaviour: Behaviour | None = None, windows: int = 6, seed: int = 1) -> list[DriftSummary]:
    """Windows of 500 events, an hour each."""
    shop = Shop(seed, users=400)
    found = judged(shop, [(behaviour or shop.behaviour, 500 * windows)], SMALL)
    return [
        msgspec.structs.replace(one.window, from_ms=n * HOUR_MS, until_ms=(n + 1) * HOUR_MS)
        for n, (_, one) in enumerate(found)
    ]


def later(window: DriftSummary, hours: float, **fields: object) -> DriftSummary:
    return msgspec.structs.replace(window, until_ms=window.until_ms + round(hours * HOUR_MS), **fields)


USUAL = summaries(windows=8)
SHOP = Shop(1)
SHIFTED = [
    later(one, 8, cold_user_flags=b"", ranks={})
    for one in summaries(changed(SHOP.behaviour, categories=SHOP.behaviour.categories[::-1].copy()), 8)
]


def taken(monitor: DriftMonitor, windows: list[DriftSummary]) -> list[Judgement]:
    offset = max(monitor.state.offsets.values(), default=-1)
    found = [monitor.take(one, offset=offset + 1 + n) for n, one in enumerate(windows)]
    return [one for one in found if one is not None]


def requests(judgements: list[Judgement]) -> list[TrainingRequest]:
    return [one.request for one in judgements if one.request is not None]


def test_the_first_windows_are_the_reference() -> None:
    decisions = [one.decision for one in taken(DriftMonitor(SMALL), USUAL[:6])]
    assert decisions[:4] == ["learning"] * 4
    assert "learning" not in decisions[4:]


def test_one_window_is_a_warning_and_several_in_a_row_are_drift() -> None:
    monitor = DriftMonitor(SMALL)
    taken(monitor, USUAL[:4])
    first, second = taken(monitor, SHIFTED[:2])
    assert (first.decision, first.levels["categories_psi"]) == ("warning", Level.WARNING)
    assert (second.decision, second.levels["categories_psi"]) == ("drift", Level.DRIFT)


def test_a_request_carries_the_evidence_and_the_window_to_train_on() -> None:
    monitor = DriftMonitor(SMALL)
    (request,) = requests(taken(monitor, USUAL[:4] + SHIFTED[:2]))
    (reason,) = [one for one in request.reasons if one.detector == "categories_psi"]
    assert (request.model, request.parent, reason.kind) == ("shop", "v1", "drift")
    assert reason.statistic > reason.threshold >= SMALL.psi
    assert request.window_until_ms == SHIFTED[1].until_ms
    assert request.window_from_ms == max(0, SHIFTED[1].until_ms - round(1000 * SMALL.train_on_seconds))


def test_a_second_request_waits_for_the_cool_down() -> None:
    monitor = DriftMonitor(SMALL)
    held = [later(one, -0.7 * (n + 1)) for n, one in enumerate(SHIFTED[2:5])]
    decisions = [one.decision for one in taken(monitor, USUAL[:4] + SHIFTED[:2] + held)]
    assert decisions[5:] == ["drift", "warning", "held", "held"]
    assert taken(monitor, [later(SHIFTED[5], 1)])[0].decision == "drift"


def test_a_detector_that_only_warns_asks_for_nothing() -> None:
    every: list[Detector] = ["categories_psi", "items_psi", "interest_mmd", "interest_centroid", "scores_psi"]
    monitor = DriftMonitor(SMALL.model_copy(update={"warn_only": every}))
    last = taken(monitor, USUAL[:4] + SHIFTED[:4])[-1]
    assert last.levels["categories_psi"] is Level.DRIFT
    assert last.decision == "warning"


def test_without_drift_a_training_is_asked_for_after_the_longest_interval() -> None:
    monitor = DriftMonitor(SMALL)
    decisions = [
        one.decision for one in taken(monitor, [*USUAL[:6], later(USUAL[6], 30), later(USUAL[7], 31)])
    ]
    assert decisions[-2] == "periodic"
    assert decisions[-1] in ("none", "warning")


def test_a_release_begins_a_new_reference() -> None:
    monitor = DriftMonitor(SMALL)
    taken(monitor, USUAL[:4])
    after = [msgspec.structs.replace(one, version="v2", serving_since_ms=2**41) for one in SHIFTED]
    assert [one.decision for one in taken(monitor, after[:5])][:4] == ["learning"] * 4
    assert not requests(taken(monitor, after[5:]))


def test_what_a_worker_tells_of_the_version_before_is_left_out() -> None:
    monitor = DriftMonitor(SMALL)
    new = [msgspec.structs.replace(one, version="v2", serving_since_ms=2**41) for one in USUAL]
    taken(monitor, new[:2])
    assert taken(monitor, SHIFTED[:1]) == []
    assert monitor.state.version == "v2"


def test_a_rollback_is_a_release_as_well() -> None:
    monitor = DriftMonitor(SMALL)
    taken(monitor, [msgspec.structs.replace(USUAL[0], version="v2", serving_since_ms=2**41)])
    taken(monitor, [msgspec.structs.replace(USUAL[1], serving_since_ms=2**42)])
    assert monitor.state.version == "v1"


def test_windows_are_filled_by_all_workers_together() -> None:
    parts = Shop(3, users=400)
    small = DriftSettings(window_events=250, sample=64)
    quarters = [one.window for _, one in judged(parts, [(parts.behaviour, 1_000)], small)]
    monitor = DriftMonitor(SMALL)
    found = [monitor.take(one, f"{n % 2}", n) for n, one in enumerate(quarters)]
    assert [one.window.events for one in found if one is not None] == [500, 500]


def test_a_summary_that_comes_again_counts_once() -> None:
    monitor = DriftMonitor(SMALL)
    assert monitor.take(USUAL[0], "0", 7) is not None
    assert monitor.take(USUAL[0], "0", 7) is None
    assert len(monitor.state.reference) == 1


@pytest.mark.parametrize("at", [2, 5, 7])
def test_a_restart_changes_no_decision(at: int) -> None:
    windows = USUAL[:4] + SHIFTED[:6]
    whole = taken(DriftMonitor(SMALL), windows)
    first = DriftMonitor(SMALL)
    before = taken(first, windows[:at])
    after = taken(DriftMonitor(SMALL, unpack_state(pack_state(first.state))), windows[at:])
    assert [one.decision for one in before + after] == [one.decision for one in whole]
    assert requests(before + after) == requests(whole)


@pytest.mark.parametrize(
    "blob",
    [b"", b"\x80junk", pack_state(MonitorState(format=99)), bytes(8 * 1_048_576 + 1)],
    ids=["empty", "junk", "newer", "too large"],
)
def test_a_damaged_state_is_refused(blob: bytes) -> None:
    with pytest.raises(StoreError):
        unpack_state(blob)
