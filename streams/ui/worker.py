"""The worker as the page sees it: asked over HTTP, and its metrics read for drift and model versions."""

from __future__ import annotations

from typing import Any, Literal, get_args
from urllib.parse import quote

import aiohttp
import msgspec
from msgspec import Struct
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from streams.http_errors import Refused
from streams.settings import Settings

TIMEOUT_SECONDS = 5.0
MAX_BYTES = 4 * 1024 * 1024
Level = Literal["none", "warning", "drift"]
LEVELS: tuple[Level, ...] = get_args(Level)


class DetectorStatus(Struct, frozen=True):
    """A drift detector now: its statistic, and the threshold above which it is drift."""

    detector: str
    statistic: float
    threshold: float
    level: Level


class ModelStatus(Struct, frozen=True):
    """A model at work, and what it does: champion, shadow or canary."""

    version: str
    role: str


class WorkerStatus(Struct, frozen=True):
    """How the worker is, and what it says of models and drift; the most alarmed detector first."""

    state: Literal["away", "starting", "ready"]
    waiting_for: list[str] = []
    models: list[ModelStatus] = []
    """The champion first."""
    items: int = 0
    detectors: list[DetectorStatus] = []
    recall: float | None = None
    """Of the last window: share of events whose item was in the user's list before."""
    training_requested: float = 0.0
    """Seconds since 1970-01-01 UTC; 0: never."""


AWAY = WorkerStatus("away")


def worker_url(settings: Settings) -> str:
    """Where the worker's port is, without a slash at the end."""
    if settings.ui.worker_url is not None:
        return settings.ui.worker_url.rstrip("/")
    host = settings.http.host
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{settings.http.port}"  # noqa: S104


class WorkerClient:
    """Asks the worker; an async context manager."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> WorkerClient:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def recommendations(self, user_id: str, scenario: str) -> dict[str, Any]:
        """``GET /recommendations/{user_id}``; raises ``Refused``."""
        return await self._get(f"/recommendations/{quote(user_id, safe='')}?scenario={quote(scenario)}")

    async def profile(self, user_id: str) -> dict[str, Any]:
        """``GET /users/{user_id}``; raises ``Refused``."""
        return await self._get(f"/users/{quote(user_id, safe='')}")

    async def item_map(self) -> dict[str, Any]:
        """``GET /map``; raises ``Refused``."""
        return await self._get("/map")

    async def status(self) -> WorkerStatus:
        """How the worker is; never raises."""
        try:
            status, readiness = await self._json("/readyz")
            _, page = await self._text("/metrics")
            return read_status(status == 200, readiness.get("waiting_for", []), page.decode())
        except (Refused, ValueError):
            return AWAY

    async def _get(self, path: str) -> dict[str, Any]:
        status, body = await self._json(path)
        if status != 200:
            raise Refused(status, str(body.get("error", {}).get("message", "the worker refused")))
        return body

    async def _json(self, path: str) -> tuple[int, dict[str, Any]]:
        status, text = await self._text(path)
        try:
            body: Any = msgspec.json.decode(text)
        except msgspec.DecodeError:
            body = None
        if not isinstance(body, dict):
            raise Refused(502, f"no worker is what answers at {self.url}: check FRESHET_UI__WORKER_URL")
        return status, body

    async def _text(self, path: str) -> tuple[int, bytes]:
        assert self._session is not None
        try:
            async with self._session.get(URL(self.url + path, encoded=True), allow_redirects=False) as answer:
                content = bytearray()
                async for chunk in answer.content.iter_any():
                    content += chunk
                    if len(content) > MAX_BYTES:
                        raise Refused(502, f"the worker's answer to {path} is larger than {MAX_BYTES} bytes")
                return answer.status, bytes(content)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise Refused(503, f"no worker answers at {self.url}: start one with `freshet worker`") from None


def read_status(ready: bool, waiting_for: list[str], page: str) -> WorkerStatus:
    """What the worker's page for Prometheus says; raises ``ValueError`` where it is none."""
    families = {family.name: family for family in text_string_to_metric_families(page)}
    return WorkerStatus(
        state="ready" if ready else "starting",
        waiting_for=waiting_for,
        models=_models(families),
        items=int(_value(families, "freshet_known_items") or 0),
        detectors=_detectors(families),
        recall=_value(families, "freshet_progressive_recall"),
        training_requested=_value(families, "freshet_drift_last_request_timestamp_seconds") or 0.0,
    )


def _models(families: dict[str, Metric]) -> list[ModelStatus]:
    samples = families["freshet_model_info"].samples if "freshet_model_info" in families else []
    models = [ModelStatus(one.labels["model_version"], one.labels["role"]) for one in samples]
    return sorted(models, key=lambda one: one.role != "champion")


def _detectors(families: dict[str, Metric]) -> list[DetectorStatus]:
    levels = _by_detector(families, "freshet_drift_level")
    thresholds = _by_detector(families, "freshet_drift_threshold", level="drift")
    statistics = _by_detector(families, "freshet_drift_statistic")
    found = [
        DetectorStatus(name, statistics[name], threshold, LEVELS[int(levels.get(name, 0))])
        for name, threshold in thresholds.items()
        if name in statistics
    ]
    return sorted(found, key=_alarm, reverse=True)


def _alarm(one: DetectorStatus) -> tuple[int, float]:
    return LEVELS.index(one.level), one.statistic / one.threshold if one.threshold else 0.0


def _by_detector(families: dict[str, Metric], name: str, **labels: str) -> dict[str, float]:
    samples = families[name].samples if name in families else []
    return {one.labels["detector"]: one.value for one in samples if labels.items() <= one.labels.items()}


def _value(families: dict[str, Metric], name: str) -> float | None:
    samples = families[name].samples if name in families else []
    return samples[0].value if samples else None
