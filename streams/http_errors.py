"""Errors over HTTP: JSON with a sentence, ``{"error": {"status", "message"}}``, never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from encoders.errors import BrokerError, BrokerUnavailable, StoreError, StoreUnavailable
from streams.rules import RuleError

log = logging.getLogger(__name__)

EXPLAINED = {
    404: "there is nothing at {asked}; see /openapi.json",
    405: "{asked} is not understood; see /openapi.json for what is",
    413: "the body is too large: {text}",
}
"""Status of a refusal by the server itself -> a sentence that helps."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refused(Exception):
    """A request that cannot be answered."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal and every fault becomes JSON with a sentence."""
    try:
        return await handler(request)
    except Refused as error:
        return _error(error.status, str(error))
    except RuleError as error:
        return _error(400, str(error))
    except web.HTTPException as error:
        asked = f"{request.method} {request.path}"
        return _error(
            error.status,
            EXPLAINED.get(error.status, "{reason}: {asked}").format(
                reason=error.reason, asked=asked, text=error.text
            ),
        )
    except web.RequestPayloadError:
        return _error(400, "the body cannot be read: is it encoded as its Content-Encoding says?")
    except StoreUnavailable:
        return _error(503, "the vector store does not answer; try again")
    except StoreError:
        log.exception("%s %s", request.method, route_of(request))
        return _error(502, "the vector store refused; the worker's log says why")
    except BrokerError as error:
        return _error(503 if isinstance(error, BrokerUnavailable) else 502, str(error))
    except Exception:
        log.exception("%s %s", request.method, route_of(request))
        return _error(500, "a fault of the server; its log says which")


def route_of(request: web.Request) -> str:
    """The pattern of the path, which itself may hold a user."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "no route"


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"status": status, "message": message}}, status=status)
