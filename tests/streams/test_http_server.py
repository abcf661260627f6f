"""The worker's port, over real sockets on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from encoders.errors import SettingsError
from exporters.metrics import Metrics
from streams.http_server import HttpServer, bind
from streams.settings import HttpSettings


class Served:
    """A server, its metrics, and the reasons that it gives for not being ready."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.reasons: list[str] = []
        self.listener = bind(HttpSettings(port=0))
        self.port: int = self.listener.getsockname()[1]
        self.server = HttpServer(self.listener, self.metrics, lambda: self.reasons)

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.port}{path}") as answer,
        ):
            return answer.status, await answer.text()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    await made.server.start()
    yield made
    await made.server.stop()


async def test_metrics_are_what_prometheus_reads(served: Served) -> None:
    served.metrics.events.labels("clicks", "applied").inc(3)
    status, body = await served.get("/metrics")
    samples = [sample for family in text_string_to_metric_families(body) for sample in family.samples]
    applied = [one.value for one in samples if one.labels == {"topic": "clicks", "outcome": "applied"}]
    assert (status, applied[0]) == (200, 3.0)


@pytest.mark.parametrize(("reasons", "value"), [([], "1.0"), (["no model"], "0.0")])
async def test_metrics_tell_readiness(served: Served, reasons: list[str], value: str) -> None:
    served.reasons = reasons
    _, body = await served.get("/metrics")
    assert f"freshet_ready {value}" in body.splitlines()


async def test_health_is_that_it_answers(served: Served) -> None:
    served.reasons = ["partitions: none assigned yet"]
    assert (await served.get("/healthz"))[0] == 200


async def test_not_ready_says_why(served: Served) -> None:
    served.reasons = ["store: away"]
    assert await served.get("/readyz") == (503, '{"ready": false, "waiting_for": ["store: away"]}')


async def test_ready_follows_when_the_reasons_are_gone(served: Served) -> None:
    served.reasons = ["store: away"]
    await served.get("/readyz")
    served.reasons = []
    assert await served.get("/readyz") == (200, '{"ready": true, "waiting_for": []}')


async def test_nothing_else_is_served(served: Served) -> None:
    assert (await served.get("/table"))[0] == 404


async def test_stopping_frees_the_port(served: Served) -> None:
    await served.server.stop()
    bind(HttpSettings(port=served.port)).close()


def test_default_is_loopback_alone() -> None:
    with bind(HttpSettings(port=0)) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_port_in_use_is_one_line_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            SettingsError, match=f"cannot listen on 127.0.0.1:{port}.*FRESHET_HTTP__PORT"
        ) as caught:
            bind(HttpSettings(port=port))
    assert "\n" not in str(caught.value)


def test_an_address_that_is_not_ours_is_one_line() -> None:
    with pytest.raises(SettingsError, match=r"cannot listen on 203\.0\.113\.7:0"):
        bind(HttpSettings(host="203.0.113.7", port=0))
