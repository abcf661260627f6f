"""``freshet recommend`` asks the worker on this machine; without one it says what it cannot do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from encoders.errors import SettingsError
from exporters.vector_store import ItemFilter
from streams.api import RecommendationApi
from streams.cli import cli
from streams.http_server import HttpServer, bind
from streams.recommender import Stages
from streams.scenarios import Scenario
from streams.settings import HttpSettings
from tests.fakes.kafka_messages import click, item
from tests.fakes.wired_worker import WiredWorker
from tests.support.workers import free_port

PRICES = {"lamp": 30, "shoe": 80, "sock": 5, "boot": 120, "cup": 8}
SCENARIOS = {
    "home": Scenario(k=3),
    "cheap": Scenario("cheap", 4, filter=ItemFilter(max_price=50.0)),
}


def recommend(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["recommend", *arguments], env={"COLUMNS": "120"})


def answer(*arguments: str) -> dict[str, Any]:
    result = recommend(*arguments, "--json")
    assert result.exit_code == 0, result.output
    body: dict[str, Any] = json.loads(result.stdout)
    return body


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A worker that answers in a thread; ann clicked a shoe."""
    worker = WiredWorker(stages=Stages())
    listener = bind(HttpSettings(port=0))
    loop = asyncio.new_event_loop()

    async def begin() -> HttpServer:
        stock = [item(one, n, price=price) for n, (one, price) in enumerate(PRICES.items())]
        await worker.catalog.process(stock)
        await worker.interest.process([click("ann", "shoe", 0)])
        server = HttpServer(listener, worker.metrics, list, RecommendationApi(worker.serving, SCENARIOS))
        await server.start()
        return server

    server = loop.run_until_complete(begin())
    thread = Thread(target=loop.run_forever)
    thread.start()
    yield int(listener.getsockname()[1])
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    worker.close()


@pytest.fixture
def running(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHET_HTTP__PORT", str(port))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker answers."""
    monkeypatch.setenv("FRESHET_HTTP__PORT", str(free_port()))


@pytest.mark.usefixtures("running")
def test_the_home_scenario_is_asked_for_unless_told_otherwise() -> None:
    found = answer("ann")
    assert (found["scenario"], found["user_id"], len(found["items"])) == ("home", "ann", 3)


@pytest.mark.usefixtures("running")
def test_a_scenario_and_a_number_are_asked_for() -> None:
    found = answer("ann", "--scenario", "cheap", "-k", "2")
    assert (found["scenario"], len(found["items"])) == ("cheap", 2)
    assert all(PRICES[one["item_id"]] <= 50 for one in found["items"])


@pytest.mark.usefixtures("running")
def test_every_filter_is_asked_for() -> None:
    found = answer("ann", "-k", "9", "--filter", "price<=30", "--filter", "price>=8")
    assert {one["item_id"] for one in found["items"]} == {"lamp", "cup"}


@pytest.mark.usefixtures("running")
def test_a_person_reads_why() -> None:
    table = recommend("ann", "--filter", "price<=6").output
    assert "ann, home (from 1 event)" in table
    assert "similar to shoe" in table
    assert "Title of sock" in table


@pytest.mark.parametrize("place", ["running", "alone"])
@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--scenario", "away"), "there is no scenario 'away': there are home"),
        (("--filter", "colour=red"), "a filter is one of price<=20"),
        (("--filter", "price<=cheap"), "needs a number"),
        (("--filter", "price>=9", "--filter", "price<=1"), "no item can pass"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_or_without_a_worker(
    request: pytest.FixtureRequest, place: str, arguments: tuple[str, ...], hint: str
) -> None:
    request.getfixturevalue(place)
    result = recommend("ann", *arguments)
    assert isinstance(result.exception, SettingsError)
    assert hint in str(result.exception)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("k", ["0", "201", "many"])
def test_k_has_bounds(k: str) -> None:
    result = recommend("ann", "-k", k)
    assert result.exit_code == 2
    assert "-k" in result.output
