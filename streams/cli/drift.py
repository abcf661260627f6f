"""``freshet drift``."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from encoders.errors import BrokerError, DataError
from streams.drift.status import DriftStatus, drift_status
from streams.messages import TrainingRequest
from streams.settings import Settings, load_settings

HTTP_SECONDS = 10.0
MAX_BYTES = 16 * 1_048_576
COLOURS = {"none": "green", "warning": "yellow", "drift": "red"}


@click.group()
def drift() -> None:
    """See what the drift detectors say."""


@drift.command()
@click.option("--url", "urls", multiple=True, help="Of a worker; may be repeated. [the one on this machine]")
@click.option("--requests", type=click.IntRange(0, 100), default=5, show_default=True, help="Last ones.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(urls: tuple[str, ...], requests: int, config: Path | None, as_json: bool) -> None:
    """Every detector with its level, statistic and thresholds, and the last training requests with reasons.

    Read off /metrics of the worker that decides: of several, name all with --url. Requests are read from
    Kafka; where no broker answers, they are left out.

    \b
    Example:
      freshet drift show --url http://10.0.0.7:8080 --url http://10.0.0.8:8080
    """
    settings = load_settings(config)
    asked = urls or (f"http://{settings.http.host}:{settings.http.port}",)
    found = [(url, drift_status(_metrics(url))) for url in asked]
    url, status = next(((url, one) for url, one in found if one.detectors), found[0])
    last = _requests(settings, requests) if requests else []
    if as_json:
        click.echo(msgspec.json.encode({"url": url, **msgspec.to_builtins(status), "requests": last}))
        return
    console = Console()
    console.print(_detectors(url, status))
    if last:
        console.print(_asked(last))


def _metrics(url: str) -> str:
    """The text of a worker's /metrics, bounded; raises ``DataError`` where it does not answer."""
    import httpx

    body = bytearray()
    try:
        address = f"{url.rstrip('/')}/metrics"
        with httpx.stream("GET", address, timeout=HTTP_SECONDS, trust_env=False) as response:
            response.raise_for_status()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_BYTES:
                    raise DataError(f"{address} is larger than {MAX_BYTES} bytes: name a worker with --url")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DataError(f"no worker answers at {url} ({error}): name one with --url") from error
    return body.decode("utf-8", errors="replace")


def _requests(settings: Settings, most: int) -> list[TrainingRequest]:
    """The newest training requests, oldest first; what cannot be read is left out."""
    from streams.kafka.reader import read

    newest: deque[TrainingRequest] = deque(maxlen=most)
    try:
        for record in sorted(read(settings.kafka, "training-requests"), key=lambda one: one.timestamp_ms):
            try:
                newest.append(msgspec.json.decode(record.value or b"", type=TrainingRequest))
            except msgspec.DecodeError:
                continue
    except BrokerError as error:
        click.echo(f"training requests are not known: {error}", err=True)
    return list(newest)


def _detectors(url: str, status: DriftStatus) -> Table | str:
    windows = ", ".join(f"{count} {kind}" for kind, count in status.decisions.items() if count) or "none yet"
    if not status.detectors:
        return (
            f"{url} shows no detector: another worker decides (name it with --url), or no window is full yet."
            f"\nWindows judged here: {windows}."
        )
    at = _time(status.last_request_seconds) if status.last_request_seconds else "never"
    recall = ", ".join(f"{version} {value:.3f}" for version, value in status.recall.items())
    table = Table(
        title=f"{url}: windows {windows}",
        caption=f"recall {recall or 'not known'}; {status.reference_windows} reference windows;"
        f" training last asked for: {at}",
    )
    for name in ("detector", "level", "statistic", "warning above", "drift above"):
        table.add_column(name, justify="left" if name in ("detector", "level") else "right")
    for one in status.detectors:
        level = f"[{COLOURS[one.level]}]{one.level}"
        table.add_row(
            one.detector, level, *(f"{value:.4g}" for value in (one.statistic, one.warning, one.drift))
        )
    return table


def _asked(requests: list[TrainingRequest]) -> Table:
    table = Table(title="Training requests")
    for name in ("at", "parent", "why"):
        table.add_column(name)
    for one in requests:
        why = "; ".join(reason.detail or reason.kind for reason in one.reasons)
        table.add_row(_time(one.requested_at / 1000), one.parent, why)
    return table


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")
