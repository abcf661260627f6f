"""What a worker says of itself: ready or why not, how far it has come, when the catalogue is in."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from faust.types import TP

from encoders.errors import BrokerUnavailable, StoreUnavailable
from exporters.metrics import Metrics
from exporters.tracing import UNTRACED
from streams import upkeep as module
from streams.catalogue_gate import QUIET_SECONDS, CatalogueGate
from streams.progress import Progress
from streams.settings import KafkaSettings, Settings
from streams.upkeep import Upkeep


def upkeep() -> Upkeep:
    signal = SimpleNamespace(connect=lambda handler: None)
    app: Any = SimpleNamespace(on_partitions_assigned=signal, on_partitions_revoked=signal, should_stop=False)
    serving = SimpleNamespace(metrics=None, tracer=UNTRACED)
    parts: Any = SimpleNamespace(gate=CatalogueGate(), serving=serving, api=None)
    nothing: Any = None
    return Upkeep(app, parts, nothing, nothing)


def ready() -> Upkeep:
    made = upkeep()
    made._assigned, made._begin = True, False
    made._parts.gate.look(missing=0, quiet_seconds=0)
    return made


async def failing(error: BaseException) -> None:
    raise error


async def working() -> None:
    """Do nothing, well."""


async def test_a_new_worker_waits_for_partitions_and_catalogue() -> None:
    assert [reason.split(":")[0] for reason in upkeep().ready_reasons()] == ["partitions", "catalogue"]


async def test_a_worker_with_both_is_ready() -> None:
    assert ready().ready_reasons() == []


@pytest.mark.parametrize("error", [StoreUnavailable("away"), BrokerUnavailable("away")])
async def test_an_outage_is_a_reason(error: Exception) -> None:
    made = ready()
    await made._try("refresh", failing(error))
    assert made.ready_reasons() == ["cannot refresh: away"]


async def test_an_outage_is_over_when_the_same_duty_succeeds() -> None:
    made = ready()
    await made._try("refresh", failing(StoreUnavailable("away")))
    await made._try("refresh", working())
    assert made.ready_reasons() == []


async def test_another_duty_that_succeeds_does_not_hide_an_outage() -> None:
    made = ready()
    await made._try("refresh", failing(StoreUnavailable("away")))
    await made._try("release", working())
    assert made.ready_reasons() == ["cannot refresh: away"]


async def test_a_duty_that_fails_because_the_app_stops_ends_nothing() -> None:
    made = ready()
    made._app.should_stop = True
    await made._try("measure the lag", failing(RuntimeError("Event loop is closed")))
    assert made.ready_reasons() == []


async def test_any_other_fault_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(reason: str, exit_code: int) -> NoReturn:
        raise SystemExit(exit_code)

    monkeypatch.setattr(module, "die", die)
    with pytest.raises(SystemExit, match="70"):
        await ready()._try("refresh", failing(KeyError("x")))


async def test_revoked_partitions_are_a_reason_until_others_are_assigned() -> None:
    made = ready()
    await made._on_revoked(None, set())
    assert made.ready_reasons() == ["partitions: none assigned yet"]


class FakeConsumer:
    """Five messages in each of the partitions that this worker owns."""

    def __init__(self, *owned: int) -> None:
        self.owned = {TP("t.clicks", partition) for partition in owned}

    def assignment(self) -> set[TP]:
        return self.owned

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        return dict.fromkeys(partitions, 5)


@pytest.mark.parametrize(("owned", "shown"), [((0, 1), {0, 1}), ((1,), {1}), ((), set())])
async def test_lag_is_shown_of_own_partitions_alone(owned: tuple[int, ...], shown: set[int]) -> None:
    made, metrics = ready(), Metrics()
    made._parts.serving.metrics, made._parts.progress = metrics, Progress()
    made._settings = Settings(kafka=KafkaSettings(topic_prefix="t."))
    for consumer in (FakeConsumer(0, 1, 2), FakeConsumer(*owned)):
        made._app.consumer = consumer
        await made._measure()
    assert [
        metrics.registry.get_sample_value("freshet_lag_events", {"topic": "clicks", "partition": str(one)})
        for one in range(3)
    ] == [5 if one in shown else None for one in range(3)]


class TestGate:
    """Events wait until the items that were there before are stored."""

    async def test_is_closed_while_items_are_missing(self) -> None:
        gate = CatalogueGate()
        gate.look(missing=1, quiet_seconds=QUIET_SECONDS)
        assert not gate.is_open

    @pytest.mark.parametrize(("missing", "quiet_seconds"), [(0, 0.0), (3, QUIET_SECONDS + 0.1)])
    async def test_opens_when_all_is_stored_or_all_is_quiet(self, missing: int, quiet_seconds: float) -> None:
        gate = CatalogueGate()
        gate.look(missing, quiet_seconds)
        await asyncio.wait_for(gate.wait(), 1)

    async def test_stays_open(self) -> None:
        gate = CatalogueGate()
        gate.look(missing=0, quiet_seconds=0)
        gate.look(missing=9, quiet_seconds=0)
        assert gate.is_open


class TestProgress:
    """Positions by partition."""

    def test_lag_is_what_lies_between_the_position_and_the_end(self) -> None:
        progress = Progress()
        progress.begin({("clicks", 0): 5})
        progress.acknowledged([(("clicks", 0), 5), (("clicks", 0), 6)])
        assert progress.lag({("clicks", 0): 10}) == {("clicks", 0): 3}

    def test_lag_is_never_negative(self) -> None:
        progress = Progress()
        progress.begin({("clicks", 0): 5})
        assert progress.lag({("clicks", 0): 2}) == {("clicks", 0): 0}

    def test_what_was_acknowledged_since_the_commit_stays(self) -> None:
        progress = Progress()
        progress.acknowledged([(("clicks", 0), 8)])
        progress.begin({("clicks", 0): 5})
        assert progress.lag({("clicks", 0): 10}) == {("clicks", 0): 1}

    def test_a_partition_that_moved_away_is_forgotten(self) -> None:
        progress = Progress()
        progress.begin({("clicks", 0): 5})
        progress.begin({("clicks", 1): 5})
        progress.begin({("clicks", 0): 2, ("clicks", 1): 5})
        assert progress.lag({("clicks", 0): 10}) == {("clicks", 0): 8}

    def test_acknowledging_moves_the_time(self) -> None:
        progress = Progress()
        progress.moved_at = 0.0
        progress.acknowledged([(("clicks", 0), 0)])
        assert progress.moved_at > 0.0
