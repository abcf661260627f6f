"""The worker's own port, on loopback unless told otherwise: recommendations, /metrics, /healthz, /readyz."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CONTENT_TYPE_LATEST

from encoders.errors import SettingsError
from exporters.metrics import Metrics
from exporters.tracing import UNTRACED, Tracer
from streams.http_errors import Handler, errors_as_json, route_of
from streams.settings import HttpSettings

if TYPE_CHECKING:
    from streams.api import RecommendationApi

SHUTDOWN_SECONDS = 2.0
OWN_PATHS = frozenset({"/metrics", "/healthz", "/readyz"})
"""Asked every few seconds, by machines: no traces."""


def bind(settings: HttpSettings, section: str = "HTTP") -> socket.socket:
    """Take the port before anything else starts; ``section``: whose settings they are.

    Raises ``SettingsError`` where it cannot be had.
    """
    try:
        return socket.create_server((settings.host, settings.port), backlog=64)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}):"
            f" set FRESHET_{section}__PORT to a free port, or 0 for any"
        ) from None


class HttpServer:
    """Serves on a bound socket; ``reasons`` returns why the worker is not ready (nothing: it is)."""

    def __init__(
        self,
        listener: socket.socket,
        metrics: Metrics,
        reasons: Callable[[], list[str]],
        api: RecommendationApi | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._listener = listener
        self._metrics = metrics
        self._reasons = reasons
        self._api = api
        self._tracer = tracer
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Begin to answer."""
        app = web.Application(client_max_size=65_536, middlewares=[traced(self._tracer), errors_as_json])
        if self._api is not None:
            self._api.add_to(app)
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/healthz", self._serve_health)
        app.router.add_get("/readyz", self._serve_readiness)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()

    async def stop(self) -> None:
        """Stop answering and free the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        self._metrics.ready.set(not self._reasons())
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _serve_health(self, request: web.Request) -> web.Response:
        """The event loop turns: that is all that a restart could mend."""
        return web.json_response({"status": "ok"})

    async def _serve_readiness(self, request: web.Request) -> web.Response:
        reasons = self._reasons()
        status = 503 if reasons else 200
        return web.json_response({"ready": not reasons, "waiting_for": reasons}, status=status)


def traced(tracer: Tracer) -> Middleware:
    """A span for each request, in its caller's trace."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in OWN_PATHS:
            return await handler(request)
        with tracer.request(request.method, route_of(request), request.headers) as answered:
            response = await handler(request)
            answered(response.status)
            return response

    return middleware
