"""A playground on fakes: a worker that answers what it is told, and a sender that remembers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from encoders.events import Item
from exporters.metrics import Metrics
from streams.codec import encode_item
from streams.messages import Reason, Recommendation, RecommendedItem, Trigger
from streams.settings import KafkaSettings, Settings, UiSettings
from streams.ui.playground import Playground
from streams.ui.sender import Sender
from streams.ui.server import make_app
from streams.ui.worker import WorkerClient

STOCK = [Item("pot", "Tea pot", categories=("Kitchen", "Tea"), price=19.5), Item("tent", "Tent", price=80.0)]
NOBODY = KafkaSettings(bootstrap_servers="127.0.0.1:1")
"""Where no Kafka is."""


class FakeWorker:
    """What a worker's port would answer, without the worker."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.waiting_for: list[str] = []
        self.asked: list[str] = []

    async def readyz(self, request: web.Request) -> web.Response:
        return web.json_response({"waiting_for": self.waiting_for}, status=503 if self.waiting_for else 200)

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(body=self.metrics.exposition())

    async def recommendations(self, request: web.Request) -> web.Response:
        self.asked.append(request.match_info["user_id"])
        reason = {"kind": "similar_to", "item_id": "tent"}
        items = [{"item_id": "pot", "score": 0.5, "title": "Tea pot", "reason": reason}]
        return web.json_response({"basis": "history", "model_version": "v1", "items": items})

    async def profile(self, request: web.Request) -> web.Response:
        past = [{"item_id": "tent", "event_type": "purchase", "timestamp": 1}]
        interests = [{"categories": ["Camping"], "share": 1.0}]
        body = {
            "events": 1,
            "history": past,
            "interests": interests,
            "position": [0.1, 0.2],
            "layout": "v1/2",
        }
        return web.json_response(body)

    async def map(self, request: web.Request) -> web.Response:
        return web.json_response({"items": [{"item_id": "pot", "x": 0, "y": 1}], "anchors": [], "total": 1})

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/readyz", self.readyz)
        app.router.add_get("/metrics", self.page)
        app.router.add_get("/recommendations/{user_id}", self.recommendations)
        app.router.add_get("/users/{user_id}", self.profile)
        app.router.add_get("/map", self.map)
        return app


class RememberingSender:
    """In place of Kafka; raises ``fault`` where there is one."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str, float | None]] = []
        self.fault: Exception | None = None

    async def send(self, user_id: str, item_id: str, action: str, price: float | None) -> str:
        if self.fault is not None:
            raise self.fault
        self.sent.append((user_id, item_id, action, price))
        return f"event-{len(self.sent)}"

    async def close(self) -> None:
        pass


class Served:
    """The playground behind its port, and the fakes beneath."""

    def __init__(self, tmp_path: Path) -> None:
        self.worker, self.sender, self.models = FakeWorker(), RememberingSender(), tmp_path
        self.settings = Settings(kafka=NOBODY, ui=UiSettings(port=0))

    async def start(self) -> None:
        self._worker_server = TestServer(self.worker.app())
        await self._worker_server.start_server()
        self._client = await WorkerClient(str(self._worker_server.make_url("")).rstrip("/")).__aenter__()
        sender = cast(Sender, self.sender)
        self.playground = Playground(self.settings, self._client, sender, self.models)
        self._server = TestServer(make_app(self.playground))
        await self._server.start_server()
        await self.playground.start()
        for one in STOCK:
            self.playground.take(*encode_item(one))
        self.url = str(self._server.make_url("")).rstrip("/")
        self.session = aiohttp.ClientSession()

    async def stop(self) -> None:
        await self.playground.stop()
        await self._server.close()
        await self.session.close()
        await self.stop_worker()
        await self._client.__aexit__()

    async def stop_worker(self) -> None:
        """As if the worker had died."""
        await self._worker_server.close()

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.json()

    async def post(self, body: Any, **headers: str) -> tuple[int, Any]:
        """To ``/api/events``, as the page does it unless ``headers`` say otherwise; bytes go as they are."""
        sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
        default = {"Origin": self.url, "Content-Type": "application/json"}
        path = f"{self.url}/api/events"
        async with self.session.post(path, data=sent, headers=default | headers) as answer:
            return answer.status, await answer.json()

    def publish(
        self,
        user_id: str,
        event_id: str = "e1",
        scenario: str = "home",
        write: Callable[[Recommendation], bytes] = msgspec.json.encode,
    ) -> None:
        """A list of the worker's, on its topic."""
        message = Recommendation(
            user_id=user_id,
            scenario=scenario,
            items=[RecommendedItem("tent", 0.9, Reason("trending"))],
            model_version="v1",
            trigger=Trigger("clicks", event_id, "pot"),
            event_time=1,
            generated_at=2,
        )
        self.playground.take("recommendations", user_id.encode(), write(message))
