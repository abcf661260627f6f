"""The one place where parts are put together: settings in, a wired worker out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from encoders.candidates import CandidateCounts
from encoders.config import DAY_SECONDS
from encoders.covisitation import CovisitationConfig
from encoders.errors import ReleaseRefused, SettingsError
from encoders.evidence import Evidence, HalfLives
from encoders.replayed_worker import ReplayConfig
from encoders.runtime import ServingModel
from exporters.metrics import Metrics
from exporters.model_manifest import MANIFEST, Manifest, read_manifest
from exporters.model_store import load_model, resolve_model
from exporters.publisher import KafkaPublisher, Publisher
from exporters.vector_store import CollectionNames, VectorStore
from streams.api import RecommendationApi
from streams.catalog import CatalogPipeline
from streams.catalog_replica import CatalogReplica
from streams.catalogue_gate import CatalogueGate
from streams.codec import Limits
from streams.drift.collector import Collector
from streams.drift.pipeline import DriftPipeline
from streams.drift.reporter import DriftReporter
from streams.evidence_pipeline import EvidencePipeline
from streams.fold_types import Behaviours, Bounds
from streams.generation import Generation, sizes_of
from streams.kafka.connection import aiokafka_options
from streams.messages import ModelRelease
from streams.pipeline import InterestPipeline, Policy
from streams.progress import Progress
from streams.recommender import Recommender, Stages
from streams.releases.changeover import Changeover, Worker, tell
from streams.releases.loading import Pace, complete, open_released
from streams.releases.release import model_name
from streams.releases.topic import read_releases
from streams.releases.watch import ReleaseWatch
from streams.scenario_settings import scenarios_of
from streams.serving import Serving
from streams.settings import EvidenceSettings, ModelSettings, QdrantSettings, RankingSettings, Settings
from streams.trending_board import TrendingBoard
from streams.user_cache import UserCache
from streams.user_states import UserStates

log = logging.getLogger(__name__)

PROVIDERS = {"cpu": ("CPUExecutionProvider",), "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider")}
"""``model.device`` -> providers of ONNX Runtime in order of preference."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A wired worker, before Faust runs it."""

    serving: Serving
    publisher: Publisher
    catalog: CatalogPipeline
    interest: InterestPipeline
    evidence: EvidencePipeline
    reporter: DriftReporter | None
    """None, as the next one, where drift is not looked for."""
    drift: DriftPipeline | None
    releases: ReleaseWatch
    changeover: Changeover
    executor: ThreadPoolExecutor
    progress: Progress
    gate: CatalogueGate
    api: RecommendationApi


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


def model_facts(settings: Settings) -> tuple[str, CollectionNames]:
    """The model's version and its collections, without loading it. Raises ``ModelNotFound``."""
    version = read_manifest(resolve_model(settings.model.path)).version
    return version, CollectionNames.of(version, settings.qdrant.collection_prefix)


def open_generation(settings: Settings, store: VectorStore, folder: Path | None = None) -> Generation:
    """A model with its collections and an empty replica; ``folder`` as above. Raises what these raise."""
    model = open_model(settings.model, folder)
    names = CollectionNames.of(model.version, settings.qdrant.collection_prefix)
    store.ensure_collections(names, sizes_of(model))
    replica = CatalogReplica(store, names, evidence=new_evidence(settings.evidence))
    recommender = Recommender(store, names, model, replica, stages_of(settings.ranking))
    text_tower = read_manifest(folder or resolve_model(settings.model.path)).text_digest
    return Generation(model, names, replica, recommender, text_tower)


def covisitation_of(settings: EvidenceSettings) -> CovisitationConfig:
    """How events become evidence, in the pure core's terms."""
    return CovisitationConfig(
        window=settings.window,
        distance_decay=settings.distance_decay,
        neighbours=settings.neighbours,
        pair_half_life_seconds=settings.pair_half_life_days * DAY_SECONDS,
        age_half_life_seconds=settings.age_half_life_days * DAY_SECONDS,
    )


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


def replay_of(settings: Settings) -> ReplayConfig:
    """What an offline copy of the worker must share with it."""
    evidence = settings.evidence
    return ReplayConfig(covisitation_of(evidence), half_lives_of(evidence), counts_of(settings.ranking))


def policy_of(settings: Settings) -> Policy:
    """Bounds and rules, in the pure core's terms."""
    inputs, history = settings.input, settings.history
    return Policy(
        limits=Limits(inputs.max_value_bytes, round(inputs.max_future_seconds * 1000)),
        bounds=Bounds(
            events=history.events,
            seen_items=history.seen_items,
            bought_items=history.bought_items,
            event_ids=history.event_ids,
            waiting=inputs.max_waiting_per_user,
            wait_ms=round(inputs.unknown_item_wait_seconds * 1000),
        ),
        scenarios=scenarios_of(settings),
        source_epoch=settings.kafka.source_epoch,
        behaviours=Behaviours(**settings.behaviours.model_dump()),
        covisitation=covisitation_of(settings.evidence) if settings.ranking.two_stage else None,
    )


def reporter_of(settings: Settings, serving: Serving, model: str) -> DriftReporter | None:
    """What notes events for drift detection, in a model of this name; ``None`` where that is turned off.

    Raises ``SettingsError`` where ``drift.scenario`` is none.
    """
    drift = settings.drift
    if not drift.enabled:
        return None
    scenario = scenarios_of(settings).get(drift.scenario)
    if scenario is None:
        raise SettingsError(f"FRESHET_DRIFT__SCENARIO: there is no scenario {drift.scenario!r}")
    collector = Collector(drift, settings.batch.cached_users, repeats=scenario.repeats)
    return DriftReporter(serving, collector, model, drift.cold_events)


def open_serving(
    settings: Settings, publisher: Publisher, executor: Executor, release: ModelRelease | None = None
) -> Serving:
    """The model, the store and a full replica of it; blocks.

    The model is the champion of ``release``, where that can be used, else the one in ``model.path``. Raises
    ``FreshetError``s that say what is missing.
    """
    metrics, store = Metrics(), open_store(settings.qdrant)
    manifest = read_manifest(resolve_model(settings.model.path))
    generation = _released(settings, store, metrics, release, manifest) if release else None
    generation = generation or open_generation(settings, store)
    released = [release.champion.version, *release.lineage] if release else []
    known = [*released, manifest.version, *_parent(settings, manifest)]
    earlier = [CollectionNames.of(one, settings.qdrant.collection_prefix) for one in known]
    complete(store, earlier, generation, metrics)
    log.info("model %s, %d items in the store", generation.version, generation.replica.catch_up())
    versions = tuple(one for one in dict.fromkeys(earlier) if store.has_users(one))
    return Serving(store, generation, publisher, metrics, executor, versions=versions)


def _parent(settings: Settings, manifest: Manifest) -> list[str]:
    """The version that ``manifest``'s was trained from, where it lies beside it and encodes texts alike."""
    folder = resolve_model(settings.model.path).parent / (manifest.parent or "none")
    same = (folder / MANIFEST).is_file() and read_manifest(folder).text_digest == manifest.text_digest
    return [manifest.parent] if manifest.parent and same else []


def _released(
    settings: Settings, store: VectorStore, metrics: Metrics, release: ModelRelease, here: Manifest
) -> Generation | None:
    """The champion; ``None``, and a line in the log, where it cannot be used. ``here``: of ``model.path``."""
    if release.champion.version == here.version:
        return None
    opener = partial(open_generation, settings, store)
    try:
        return open_released(release.champion, settings.model.cache, opener, here.text_digest, Pace())
    except ReleaseRefused as error:
        metrics.release_refusals.labels(error.reason).inc()
        log.error("release %d refused (%s): %s", release.number, error.reason, error)
        return None


@contextmanager
def open_reading(settings: Settings) -> Iterator[tuple[VectorStore, Generation]]:
    """The store and the model in ``model.path`` with a full replica: to ask without a worker."""
    with closing(open_store(settings.qdrant)) as store:
        generation = open_generation(settings, store)
        generation.replica.catch_up()
        yield store, generation


def compose(settings: Settings) -> Parts:
    """Wire a worker: loads the model, opens the store, reads the catalogue; blocks. Raises as above."""
    release = read_releases(settings.kafka).get(model_name(settings))
    publisher = KafkaPublisher(aiokafka_options(settings.kafka), settings.kafka.topic_prefix)
    return compose_on(publisher, settings, release)


def compose_on(publisher: Publisher, settings: Settings, release: ModelRelease | None = None) -> Parts:
    """The same on another publisher; ``release`` is what is released at the start."""
    # A thread for each agent's batch: the event loop stays free.
    executor = ThreadPoolExecutor(4, thread_name_prefix="batch")
    serving = open_serving(settings, publisher, executor, release)
    policy = policy_of(settings)
    states = UserStates(serving, UserCache(settings.batch.cached_users))
    half_life = settings.recommendations.trending_half_life_hours
    trending = TrendingBoard(serving.store, serving.names, half_life, policy.source_epoch)
    catalog = CatalogPipeline(serving, policy.limits, policy.source_epoch)
    name = model_name(settings)
    reporter = reporter_of(settings, serving, name)
    interest = InterestPipeline(serving, states, trending, policy, reporter)
    evidence = EvidencePipeline(serving)

    def forget() -> None:
        states.model_changed()
        evidence.forget()

    releases = ReleaseWatch(settings.kafka, name, serving.metrics, release)
    worker = Worker(
        serving=serving,
        locks=(catalog.lock, evidence.lock, interest.lock),
        forget=forget,
        cache=settings.model.cache,
        open_generation=partial(open_generation, settings, serving.store),
        prefix=settings.qdrant.collection_prefix,
    )
    # A challenger is loaded when the worker runs: until then its release is not wholly obeyed.
    number = 0
    if release is not None and release.challenger is None:
        number = release.number if release.champion.version == serving.model.version else 0
    tell(serving, number)
    return Parts(
        serving=serving,
        publisher=publisher,
        catalog=catalog,
        interest=interest,
        evidence=evidence,
        reporter=reporter,
        drift=DriftPipeline(serving, settings.drift, name, policy.source_epoch) if reporter else None,
        releases=releases,
        changeover=Changeover(worker, lambda: releases.latest, number),
        executor=executor,
        progress=Progress(),
        gate=CatalogueGate(),
        api=RecommendationApi(serving, policy.scenarios),
    )
