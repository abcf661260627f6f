"""Who may talk to the page's server: this very page, from this machine; and what the page may load."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from streams.http_errors import Handler, Refused

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@web.middleware
async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site's page has sent: there are no cookies, but whoever asks is on this machine.

    On loopback the name asked for must be one of this machine, too: another site may point its own name here.
    """
    asked = urlsplit(f"//{request.host}")
    listening = request.transport.get_extra_info("sockname")[0] if request.transport else ""
    if listening in LOOPBACK and asked.hostname not in LOOPBACK:
        raise Refused(403, f"this server is for this machine alone: ask for http://127.0.0.1:{asked.port}")
    if request.method not in ("GET", "HEAD"):
        origin = request.headers.get("Origin", "")
        if urlsplit(origin).netloc != request.host:
            raise Refused(403, "only the page itself may send: the header Origin must be its own")
        if request.content_type != "application/json":
            raise Refused(415, "send JSON, with Content-Type: application/json")
    return await handler(request)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer, refusals too."""
    response.headers.update(HEADERS)
