"""The playground's HTTP server: one page, its data as JSON, and what is new as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from streams.http_errors import Refused, errors_as_json
from streams.http_server import SHUTDOWN_SECONDS, bind
from streams.messages import Id
from streams.settings import Settings
from streams.ui.guard import add_headers, same_origin
from streams.ui.hub import Notice
from streams.ui.playground import Playground
from streams.ui.sender import Action, Sender
from streams.ui.worker import WorkerClient, worker_url

STATIC = ("app.css", "app.js", "api.js", "dom.js", "icon.svg", "list.js", "map.js", "panels.js")
PAGES = {"": "index.html"} | {name: name for name in STATIC}
"""Path -> file in ``static``; nothing else is served from the disk."""
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MAX_BODY_BYTES = 4_096
MOST_FOUND = 50


class Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/events``."""

    user_id: Id
    item_id: Id
    action: Action


_sent = msgspec.json.Decoder(Sent)


class Routes:
    """The page's requests, answered by a ``Playground``."""

    def __init__(self, playground: Playground) -> None:
        self._playground = playground
        folder = files("streams.ui") / "static"
        self._files = {path: (folder / name).read_bytes() for path, name in PAGES.items()}

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        for path, name in PAGES.items():
            app.router.add_get(f"/{path}", self._file(path, TYPES[Path(name).suffix]))
        app.router.add_get("/api/status", self._status)
        app.router.add_get("/api/items", self._items)
        app.router.add_get("/api/map", self._map)
        app.router.add_get("/api/shoppers/{user_id}", self._shopper)
        app.router.add_get("/api/stream/{user_id}", self._stream)
        app.router.add_post("/api/events", self._event)

    def _file(self, path: str, content_type: str) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.Response:
            return web.Response(body=self._files[path], content_type=content_type, charset="utf-8")

        return serve

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response(self._playground.status)

    async def _items(self, request: web.Request) -> web.Response:
        text = request.query.get("q", "")
        if len(text) > 200:
            raise Refused(400, "a search has at most 200 characters")
        return web.json_response({"items": self._playground.search(text, MOST_FOUND)})

    async def _map(self, request: web.Request) -> web.Response:
        return web.json_response(await self._playground.item_map())

    async def _shopper(self, request: web.Request) -> web.Response:
        return web.json_response(await self._playground.shopper(_user_id(request)))

    async def _event(self, request: web.Request) -> web.Response:
        try:
            body = _sent.decode(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(400, f"the body is not an event: {error}") from None
        event_id = await self._playground.send(body.user_id, body.item_id, body.action)
        return web.json_response({"event_id": event_id}, status=202)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        user_id, hub = _user_id(request), self._playground.hub
        if hub.full:
            raise Refused(503, f"{len(hub)} pages are open already: close one")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        with hub.open(user_id) as page:
            await response.prepare(request)
            await response.write(_framed(Notice("status", self._playground.status)))
            async for notice in page.notices():
                await response.write(_framed(notice))
        return response


def _framed(notice: Notice | None) -> bytes:
    """As server-sent events go over the wire; a comment keeps the connection alive."""
    if notice is None:
        return b": still here\n\n"
    return f"event: {notice.event}\ndata: {json.dumps(notice.data)}\n\n".encode()


def _user_id(request: web.Request) -> str:
    user_id = request.match_info["user_id"]
    if len(user_id) > 256:
        raise Refused(400, "a shopper's id has at most 256 characters")
    return user_id


def make_app(playground: Playground) -> web.Application:
    """The page and its routes; whoever runs it starts and stops the playground."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[errors_as_json, same_origin])
    Routes(playground).add_to(app)
    app.on_response_prepare.append(add_headers)
    return app


async def serve_ui(
    settings: Settings, models: Path, stopped: asyncio.Event, ready: Callable[[str], None] = lambda url: None
) -> None:
    """Serve the playground until ``stopped`` is set; ``ready`` is told its URL when it answers.

    ``models``: where the last training's report lies. Raises ``SettingsError`` where the port cannot be had.
    """
    listener = bind(settings.ui, "UI")
    async with WorkerClient(worker_url(settings)) as worker:
        playground = Playground(settings, worker, Sender(settings.kafka), models)
        runner = web.AppRunner(make_app(playground), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        await playground.start()
        try:
            await web.SockSite(runner, listener).start()
            host, port = listener.getsockname()[:2]
            ready(f"http://{host}:{port}/")
            await stopped.wait()
        finally:
            # The pages first: their handlers wait for what comes next.
            await playground.stop()
            await runner.cleanup()
