"""To release a model, and to roll back: what the trainer and ``freshet models`` call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from encoders.errors import ModelError, ModelNotFound, SettingsError
from exporters.model_fetch import Fetched, describe, fetch_model
from exporters.model_manifest import Manifest, read_manifest
from exporters.model_store import load_model, resolve_model
from streams.messages import ModelAt, ModelRelease
from streams.releases.topic import publish, read_releases
from streams.settings import Settings

Mode = Literal["none", "shadow", "canary"]
MAX_LINEAGE = 16


def release(
    settings: Settings,
    uri: str,
    *,
    mode: Mode = "none",
    canary_share: float = 0.0,
    gate: Mapping[str, Any] | None = None,
) -> ModelRelease:
    """Release the model version in the folder ``uri`` (a path, or what fsspec reads); blocks for seconds.

    As champion, or with another ``mode`` as the challenger beside the champion: ``shadow`` is scored and not
    published, ``canary`` answers the ``canary_share`` (0 to 1) of the users. ``gate`` is the summary of the
    report that let it through. The version is fetched, verified and loaded before anything is published.

    Raises ``ReleaseRefused`` or ``ModelError`` where it cannot be used, ``SettingsError`` for a challenger
    without a champion, ``BrokerError``.
    """
    fetched = verified(settings, uri)
    manifest, at = fetched.manifest, _at(fetched)

    def change(current: ModelRelease | None) -> ModelRelease:
        if mode == "none":
            return _promoted(settings, current, manifest, at, gate)
        champion = current.champion if current else _bootstrap_at(settings, manifest.name)
        if champion.version == at.version:
            raise SettingsError(f"{at.version} is the champion: it cannot challenge itself")
        return ModelRelease(
            model=manifest.name,
            number=1,
            champion=champion,
            challenger=at,
            mode=mode,
            canary_share=canary_share if mode == "canary" else 0.0,
            lineage=current.lineage if current else [],
            gate=dict(gate) if gate else None,
            released_at=0,
        )

    return publish(settings.kafka, manifest.name, change)


def rollback(settings: Settings) -> ModelRelease:
    """Release the champion before the present one again; a challenger is dropped.

    Its folder is looked for beside the present champion's, then in ``model.path``. Raises as above, and
    ``ModelNotFound`` where there is no earlier champion.
    """
    name, current = released(settings)
    if current is None or not current.lineage:
        raise ModelNotFound(f"{name} has no earlier champion to go back to: see `freshet models list`")
    version = current.lineage[0]
    at = _at(verified(settings, find_version(settings, version, current)))

    def change(now: ModelRelease | None) -> ModelRelease:
        if now is None or now.number != current.number:
            raise SettingsError("another release came in between: see `freshet models list`, try again")
        lineage = [one for one in now.lineage if one != version]
        # The one that is left stays known: its users came while it served.
        return ModelRelease(
            model=name,
            number=1,
            champion=at,
            lineage=[*lineage, now.champion.version][:MAX_LINEAGE],
            released_at=0,
        )

    return publish(settings.kafka, name, change)


def model_name(settings: Settings, releases: Mapping[str, ModelRelease]) -> str:
    """The model that workers with these settings serve: the one in ``model.path``, else the released one.

    Raises ``ModelNotFound`` where there is neither, or several are released, and ``ModelCorrupt``.
    """
    try:
        return read_manifest(resolve_model(settings.model.path)).name
    except ModelNotFound:
        if not releases:
            raise
    if len(releases) > 1:
        raise ModelNotFound(
            f"{', '.join(sorted(releases))} are released: let FRESHET_MODEL__PATH name a version of the one"
            " to use"
        )
    return next(iter(releases))


def released(settings: Settings) -> tuple[str, ModelRelease | None]:
    """The model's name, as above, and what is released of it; raises ``BrokerError``, too."""
    releases = read_releases(settings.kafka)
    name = model_name(settings, releases)
    return name, releases.get(name)


def find_version(settings: Settings, version: str, current: ModelRelease | None) -> str:
    """Where a version lies: beside the champion, or in ``model.path``; raises ``ModelNotFound``."""
    places = [current.champion.uri.rstrip("/").rpartition("/")[0]] if current else []
    for place in [*places, str(settings.model.path.absolute()), str(settings.model.path.absolute().parent)]:
        try:
            if describe(f"{place}/{version}").version == version:
                return f"{place}/{version}"
        except ModelError:
            continue
    raise ModelNotFound(
        f"no version {version} in {settings.model.path}: give its folder, or see `freshet models list`"
    )


def verified(settings: Settings, uri: str) -> Fetched:
    """Fetch, verify and load a version, as a worker will; raises ``ReleaseRefused`` or ``ModelError``."""
    fetched = fetch_model(uri, settings.model.cache)
    load_model(fetched.folder)
    return fetched


def _at(fetched: Fetched) -> ModelAt:
    return ModelAt(version=fetched.manifest.version, uri=fetched.uri, digest=fetched.digest)


def _promoted(
    settings: Settings,
    current: ModelRelease | None,
    manifest: Manifest,
    at: ModelAt,
    gate: Mapping[str, Any] | None,
) -> ModelRelease:
    if current is None:
        earlier = [version for version in (_bootstrap_version(settings), manifest.parent) if version]
    else:
        earlier = [current.champion.version, *current.lineage]
    return ModelRelease(
        model=manifest.name,
        number=1,
        champion=at,
        lineage=[one for one in dict.fromkeys(earlier) if one != at.version][:MAX_LINEAGE],
        gate=dict(gate) if gate else None,
        released_at=0,
    )


def _bootstrap_version(settings: Settings) -> str | None:
    """What workers serve before the first release, where this machine has it."""
    try:
        return read_manifest(resolve_model(settings.model.path)).version
    except ModelError:
        return None


def _bootstrap_at(settings: Settings, name: str) -> ModelAt:
    fetched = verified(settings, str(resolve_model(settings.model.path).absolute()))
    if fetched.manifest.name != name:
        raise SettingsError(
            f"{settings.model.path} is {fetched.manifest.name}, not {name}: it has no champion yet"
        )
    return _at(fetched)
