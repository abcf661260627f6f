"""Training requests: from bytes to a request with its champion, or to the reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from encoders.errors import ModelError
from exporters.model_fetch import fetch_model
from exporters.model_manifest import read_manifest
from streams.codec import Limits, Rejected, parse
from streams.messages import ModelRelease, TrainingRequest
from streams.settings import Settings

_decoder = msgspec.json.Decoder(TrainingRequest)


class Accepted(NamedTuple):
    """A request, and the folder of the version that serves."""

    request: TrainingRequest
    champion: Path


def decode_request(key: bytes | None, value: bytes | None, limits: Limits) -> TrainingRequest | Rejected:
    """Read a message of ``training-requests``; never raises."""
    request = parse(_decoder, value, limits)
    if isinstance(request, Rejected):
        return request
    if key != request.model.encode(errors="surrogatepass"):
        # The lease is the partition of the key: another key could put two trainers to work.
        return Rejected("key_mismatch", "the key differs from model")
    if request.window_from_ms >= request.window_until_ms:
        return Rejected("empty_window", "window_from_ms is not before window_until_ms")
    return request


def accept(
    request: TrainingRequest, settings: Settings, released: ModelRelease | None
) -> Accepted | Rejected:
    """Find the champion; ``released``: what is released of the request's model now."""
    if released is not None and released.champion.version != request.parent:
        serves = released.champion.version
        return Rejected("stale_parent", f"{serves} serves by now, not {request.parent}")
    try:
        champion = _champion(request, settings, released)
        manifest = read_manifest(champion)
    except ModelError as error:
        return Rejected("unknown_model", str(error))
    if (manifest.name, manifest.version) != (request.model, request.parent):
        return Rejected("unknown_model", f"{champion} holds {manifest.name} {manifest.version}")
    return Accepted(request, champion)


def _champion(request: TrainingRequest, settings: Settings, released: ModelRelease | None) -> Path:
    # The name must not lead out of the folder.
    folder = settings.trainer.models / Path(request.parent).name
    if released is None or folder.is_dir():
        return folder
    at = released.champion
    return fetch_model(at.uri, settings.model.cache, at.digest).folder
