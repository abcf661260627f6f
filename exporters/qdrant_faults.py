"""What a Qdrant server's faults mean: which of them pass, and what a person should do about the others.

The one place where errors of qdrant-client and httpx become errors of Freshet.
"""

from __future__ import annotations

import json
import logging
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx
from pydantic import ValidationError
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from encoders.errors import StoreError, StoreUnavailable

T = TypeVar("T")
logger = logging.getLogger(__name__)

PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
LONGEST_WAIT_S = 30.0


class WaitTimeout(Exception):
    """The server did not say within its own limit whether an update was applied."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a call is repeated.

    ``attempts`` counts the first one. Between attempts there is a random wait of up to ``first_wait_s``
    seconds, doubled each time up to ``longest_wait_s`` (random, so that workers do not return in step), and
    at least what the server asked for by ``Retry-After``, up to 30 s. Every call is idempotent: an answer
    that was lost on the way back is simply asked for again.
    """

    attempts: int = 6
    first_wait_s: float = 0.1
    longest_wait_s: float = 5.0
    sleep: Callable[[float], None] = time.sleep

    def call(self, address: str, request: Callable[[], T]) -> T:
        """The answer; raises ``StoreUnavailable`` after the last attempt, ``StoreError`` after the first."""
        for attempt in range(1, self.attempts + 1):
            try:
                return request()
            except Exception as error:
                fault = translated(error, address)
                if not isinstance(fault, StoreUnavailable):
                    raise fault from error
                if attempt == self.attempts:
                    raise StoreUnavailable(f"{fault} (after {attempt} attempts)") from error
                logger.warning("%s; attempt %d of %d failed", fault, attempt, self.attempts)
                self.sleep(max(self._jittered(attempt), _asked_wait_s(error)))
        raise AssertionError("unreachable: attempts is at least 1")

    def _jittered(self, attempt: int) -> float:
        return random.uniform(0.0, min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1)))


def translated(error: Exception, address: str) -> StoreError:
    """The error of Freshet's tree that ``error``, met in a call to the server at ``address``, amounts to."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, ResponseHandlingException):
        return _translated_transport(error.source, address)
    if isinstance(error, ResourceExhaustedResponse):
        return StoreUnavailable(f"Qdrant at {address} is limiting its callers: {_one_line(str(error))}")
    if isinstance(error, UnexpectedResponse):
        return _translated_status(error, address)
    if isinstance(error, WaitTimeout):
        return StoreUnavailable(f"Qdrant at {address} did not apply an update in time")
    if isinstance(error, QdrantException):
        # The client reads Retry-After as seconds only, and gives up on the date that HTTP allows as well.
        return StoreUnavailable(f"Qdrant at {address} is limiting its callers")
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return _other_protocol(address)
    if isinstance(error, ApiException | ValueError | TypeError | AssertionError):
        return StoreError(f"a call to Qdrant at {address} cannot be made: {_one_line(str(error))}")
    raise error


def _translated_transport(source: Exception, address: str) -> StoreError:
    if _is_certificate_error(source):
        return StoreError(
            f"the certificate of Qdrant at {address} is not trusted: name its authority's certificate "
            "(ca_file), or correct the host in the URL"
        )
    if isinstance(source, httpx.TimeoutException):
        return StoreUnavailable(f"Qdrant at {address} did not answer in time")
    if isinstance(source, httpx.TransportError):
        return StoreUnavailable(f"Qdrant at {address} cannot be reached: {_one_line(str(source))}")
    if isinstance(source, ValidationError):
        return _other_protocol(address)
    return StoreError(f"a call to Qdrant at {address} cannot be made: {_one_line(str(source))}")


def _other_protocol(address: str) -> StoreError:
    return StoreError(f"what answers at {address} does not speak Qdrant's protocol: check the URL")


def _translated_status(error: UnexpectedResponse, address: str) -> StoreError:
    status = error.status_code or 0
    said = _said(error)
    if status in (401, 403):
        return StoreError(
            f"Qdrant refused the API key: set FRESHET_QDRANT__API_KEY ({status} from {address})"
        )
    if status == 404:
        return StoreError(
            f"Qdrant at {address} does not have what was asked for: {said}; start a worker first"
        )
    if status == 413:
        return StoreError(
            f"a request is too large for Qdrant at {address}: raise service.max_request_size_mb there"
        )
    if status in PASSING_STATUS or status >= 500:
        return StoreUnavailable(f"Qdrant at {address} answered {status}: {said}")
    return StoreError(f"Qdrant at {address} refused a call ({status}): {said}")


def _said(error: UnexpectedResponse) -> str:
    """What the server gave as the reason: ``{"status": {"error": reason}}``."""
    try:
        return _one_line(str(json.loads(error.content)["status"]["error"]))
    except (ValueError, KeyError, TypeError):
        return _one_line(error.reason_phrase) or "no reason given"


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _asked_wait_s(error: Exception) -> float:
    """The wait that the server asked for, in seconds; 0 where it asked for none."""
    if isinstance(error, ResourceExhaustedResponse):
        asked = error.retry_after_s
    elif isinstance(error, UnexpectedResponse):
        asked = error.headers.get("Retry-After", "")
    else:
        return 0.0
    try:
        return min(max(float(asked), 0.0), LONGEST_WAIT_S)
    except ValueError:
        return 0.0


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
