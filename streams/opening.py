"""What is opened from settings: the store, models, a serving worker's surroundings; all of it blocks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from encoders.candidates import CandidateCounts
from encoders.config import DAY_SECONDS
from encoders.errors import ModelNotFound, ReleaseRefused
from encoders.evidence import Evidence, HalfLives
from encoders.runtime import ServingModel
from exporters.metrics import Metrics
from exporters.model_manifest import MANIFEST, Manifest, entry_of, read_manifest
from exporters.model_store import load_model, resolve_model
from exporters.publisher import Publisher
from exporters.vector_store import CollectionNames, VectorStore
from streams.catalog_replica import CatalogReplica
from streams.generation import Generation, sizes_of
from streams.messages import ModelRelease
from streams.recommender import Recommender, Stages
from streams.releases.loading import Pace, complete, open_released
from streams.serving import Serving
from streams.settings import EvidenceSettings, ModelSettings, QdrantSettings, RankingSettings, Settings

log = logging.getLogger(__name__)

PROVIDERS = {"cpu": ("CPUExecutionProvider",), "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider")}
"""``model.device`` -> providers of ONNX Runtime in order of preference."""


def open_store(settings: QdrantSettings) -> VectorStore:
    """Qdrant by URL, or the engine in this process. Raises ``StoreError`` or ``StoreUnavailable``."""
    if settings.url is None:
        from exporters.qdrant_edge import EdgeVectorStore

        return EdgeVectorStore(settings.path)
    from exporters.qdrant_faults import Retries
    from exporters.qdrant_server import ServerVectorStore, Tls

    return ServerVectorStore(
        settings.url,
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        timeout_s=settings.timeout_seconds,
        retries=Retries(attempts=settings.retries + 1),
        tls=Tls(settings.ca_file, settings.certificate_file, settings.key_file),
        allow_key_over_http=settings.allow_key_over_http,
    )


def open_model(settings: ModelSettings, folder: Path | None = None) -> ServingModel:
    """Load and verify the model in ``folder`` or ``path``. Raises ``ModelNotFound`` or ``ModelCorrupt``."""
    place = folder or settings.path
    return load_model(place, threads=settings.threads, providers=PROVIDERS[settings.device])


def open_generation(settings: Settings, store: VectorStore, folder: Path | None = None) -> Generation:
    """A model with its collections and an empty replica; ``folder`` as above. Raises what these raise."""
    model = open_model(settings.model, folder)
    names = CollectionNames.of(model.version, settings.qdrant.collection_prefix)
    store.ensure_collections(names, sizes_of(model))
    replica = CatalogReplica(store, names, evidence=new_evidence(settings.evidence))
    recommender = Recommender(store, names, model, replica, stages_of(settings.ranking))
    manifest = (folder or resolve_model(settings.model.path)) / MANIFEST
    text_tower = read_manifest(manifest.parent).text_digest
    return Generation(model, names, replica, recommender, text_tower, entry_of(manifest).sha256)


def half_lives_of(settings: EvidenceSettings) -> HalfLives:
    """Ages at which evidence counts half, in the pure core's terms."""
    return HalfLives(
        pairs=settings.age_half_life_days * DAY_SECONDS,
        popularity=settings.popularity_half_life_days * DAY_SECONDS,
        recent=settings.recent_half_life_hours * 3_600,
    )


def new_evidence(settings: EvidenceSettings) -> Evidence:
    """Empty arrays with the half-lives of the settings."""
    return Evidence(settings.neighbours, half_lives_of(settings))


def counts_of(settings: RankingSettings) -> CandidateCounts:
    """Candidates of each source, in the pure core's terms."""
    return CandidateCounts(
        dense=settings.dense_candidates,
        covisited=settings.covisited_candidates,
        trending=settings.trending_candidates,
        new=settings.new_candidates,
        again=settings.again_candidates,
    )


def stages_of(settings: RankingSettings) -> Stages:
    """Candidates and ranking, in the recommender's terms."""
    return Stages(counts_of(settings), settings.two_stage, settings.ranked_from_events)


def open_serving(
    settings: Settings, publisher: Publisher, executor: Executor, release: ModelRelease | None = None
) -> Serving:
    """The model, the store and a full replica of it; blocks.

    The model is the champion of ``release``, where that can be used, else the one in ``model.path``. Raises
    ``FreshetError``s that say what is missing.
    """
    metrics, store = Metrics(), open_store(settings.qdrant)
    here = _here(settings, release)
    generation = _released(settings, store, metrics, release, here) if release else None
    generation = generation or open_generation(settings, store)
    known = [*_versions(release), *([here.version, *_parent(settings, here)] if here else [])]
    earlier = [CollectionNames.of(one, settings.qdrant.collection_prefix) for one in known]
    complete(store, earlier, generation, metrics)
    log.info("model %s, %d items in the store", generation.version, generation.replica.catch_up())
    versions = tuple(one for one in dict.fromkeys(earlier) if store.has_users(one))
    return Serving(store, generation, publisher, metrics, executor, versions=versions)


def _versions(release: ModelRelease | None) -> list[str]:
    """Champions, the present one first."""
    return [release.champion.version, *release.lineage] if release else []


def _here(settings: Settings, release: ModelRelease | None) -> Manifest | None:
    """Of the model in ``model.path``; ``None`` where there is none, and a release to serve instead."""
    try:
        return read_manifest(resolve_model(settings.model.path))
    except ModelNotFound:
        if release is None:
            raise
        return None


def _parent(settings: Settings, manifest: Manifest) -> list[str]:
    """The version that ``manifest``'s was trained from, where it lies beside it and encodes texts alike."""
    folder = resolve_model(settings.model.path).parent / (manifest.parent or "none")
    same = (folder / MANIFEST).is_file() and read_manifest(folder).text_digest == manifest.text_digest
    return [manifest.parent] if manifest.parent and same else []


def _released(
    settings: Settings, store: VectorStore, metrics: Metrics, release: ModelRelease, here: Manifest | None
) -> Generation | None:
    """The champion; ``None`` where it is the model in ``model.path``, or, with a line in the log, unusable.

    ``here``: of ``model.path``. Without it, nothing else could serve: raises ``ReleaseRefused``.
    """
    if here is not None and release.champion.version == here.version:
        return None
    opener, text_tower = partial(open_generation, settings, store), here.text_digest if here else None
    try:
        return open_released(release.champion, settings.model.cache, opener, text_tower, Pace())
    except ReleaseRefused as error:
        if here is None:
            raise
        metrics.release_refusals.labels(error.reason).inc()
        log.error("release %d refused (%s): %s", release.number, error.reason, error)
        return None


@contextmanager
def open_reading(
    settings: Settings, release: ModelRelease | None = None
) -> Iterator[tuple[VectorStore, Generation, list[CollectionNames]]]:
    """To ask without a worker: the store, a model with a full replica, and where else users may be stored.

    The model is the champion of ``release``, where workers have served it, else the one in ``model.path``.
    """
    with closing(open_store(settings.qdrant)) as store:
        prefix = settings.qdrant.collection_prefix
        known = [CollectionNames.of(one, prefix) for one in _versions(release)]
        used = [one for one in known if store.has_users(one)]
        served = release if known[:1] == used[:1] else None
        here = _here(settings, served)
        generation = _released(settings, store, Metrics(), served, here) if served else None
        generation = generation or open_generation(settings, store)
        generation.replica.catch_up()
        yield store, generation, [one for one in used if one != generation.names]
