"""The one place where parts are put together: settings in, a wired worker out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

from encoders.config import DAY_SECONDS
from encoders.covisitation import CovisitationConfig
from encoders.evidence import Evidence, HalfLives
from encoders.runtime import ServingModel
from exporters.metrics import Metrics
from exporters.model_manifest import read_manifest
from exporters.model_store import load_model, resolve_model
from exporters.publisher import KafkaPublisher, Publisher
from exporters.vector_store import CollectionNames, VectorSizes, VectorStore
from streams.api import RecommendationApi
from streams.catalog import CatalogPipeline
from streams.catalog_replica import CatalogReplica
from streams.catalogue_gate import CatalogueGate
from streams.codec import Limits
from streams.evidence_pipeline import EvidencePipeline
from streams.fold_types import Behaviours, Bounds
from streams.kafka.connection import aiokafka_options
from streams.pipeline import InterestPipeline, Policy
from streams.progress import Progress
from streams.recommender import Recommender, Stages
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


def open_model(settings: ModelSettings) -> ServingModel:
    """Load and verify the model. Raises ``ModelNotFound`` or ``ModelCorrupt``."""
    return load_model(settings.path, threads=settings.threads, providers=PROVIDERS[settings.device])


def model_facts(settings: Settings) -> tuple[str, CollectionNames]:
    """The model's version and its collections, without loading it. Raises ``ModelNotFound``."""
    version = read_manifest(resolve_model(settings.model.path)).version
    return version, CollectionNames.of(version, settings.qdrant.collection_prefix)


def open_collections(
    settings: Settings, model: ServingModel
) -> tuple[VectorStore, CollectionNames, VectorSizes]:
    """The store, with the model's collections in it."""
    store = open_store(settings.qdrant)
    names = CollectionNames.of(model.version, settings.qdrant.collection_prefix)
    sizes = VectorSizes(item=model.dim, text=model.text_dim, state=model.state_dim)
    store.ensure_collections(names, sizes)
    return store, names, sizes


def covisitation_of(settings: EvidenceSettings) -> CovisitationConfig:
    """How events become evidence, in the pure core's terms."""
    return CovisitationConfig(
        window=settings.window,
        distance_decay=settings.distance_decay,
        neighbours=settings.neighbours,
        pair_half_life_seconds=settings.pair_half_life_days * DAY_SECONDS,
        age_half_life_seconds=settings.age_half_life_days * DAY_SECONDS,
    )


def new_evidence(settings: EvidenceSettings) -> Evidence:
    """Empty arrays with the half-lives of the settings."""
    lives = HalfLives(
        pairs=settings.age_half_life_days * DAY_SECONDS,
        popularity=settings.popularity_half_life_days * DAY_SECONDS,
        recent=settings.recent_half_life_hours * 3_600,
    )
    return Evidence(settings.neighbours, lives)


def stages_of(settings: RankingSettings) -> Stages:
    """Candidates and ranking, in the recommender's terms."""
    return Stages(
        two_stage=settings.two_stage,
        dense=settings.dense_candidates,
        covisited=settings.covisited_candidates,
        trending=settings.trending_candidates,
        new=settings.new_candidates,
        again=settings.again_candidates,
        ranked_from=settings.ranked_from_events,
    )


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


def open_serving(settings: Settings, publisher: Publisher, executor: Executor) -> Serving:
    """The model, the store and a full replica of it; blocks.

    Raises ``FreshetError``s that say what is missing.
    """
    metrics = Metrics()
    model = open_model(settings.model)
    metrics.model.labels(model.version, model.dim).set(1)
    store, names, _ = open_collections(settings, model)
    replica = CatalogReplica(store, names, evidence=new_evidence(settings.evidence))
    log.info("model %s, %d items in the store", model.version, replica.refresh())
    metrics.known_items.set(len(replica))
    recommender = Recommender(store, names, model, replica, stages_of(settings.ranking))
    return Serving(store, names, model, replica, recommender, publisher, metrics, executor)


@contextmanager
def open_reading(
    settings: Settings,
) -> Iterator[tuple[VectorStore, CollectionNames, Recommender, str]]:
    """The store, its collections, a recommender on them and the model's version: to ask without a worker."""
    model = open_model(settings.model)
    store, names, _ = open_collections(settings, model)
    with closing(store):
        replica = CatalogReplica(store, names, evidence=new_evidence(settings.evidence))
        replica.refresh()
        yield (
            store,
            names,
            Recommender(store, names, model, replica, stages_of(settings.ranking)),
            model.version,
        )


def compose(settings: Settings) -> Parts:
    """Wire a worker: loads the model, opens the store, reads the catalogue; blocks. Raises as above."""
    return compose_on(KafkaPublisher(aiokafka_options(settings.kafka), settings.kafka.topic_prefix), settings)


def compose_on(publisher: Publisher, settings: Settings) -> Parts:
    """The same on another publisher."""
    # A thread for each agent's batch: the event loop stays free.
    executor = ThreadPoolExecutor(3, thread_name_prefix="batch")
    serving = open_serving(settings, publisher, executor)
    policy = policy_of(settings)
    model = serving.model
    sizes = VectorSizes(item=model.dim, text=model.text_dim, state=model.state_dim)
    states = UserStates(serving.store, serving.names, sizes, UserCache(settings.batch.cached_users))
    half_life = settings.recommendations.trending_half_life_hours
    trending = TrendingBoard(serving.store, serving.names, half_life, policy.source_epoch)
    return Parts(
        serving=serving,
        publisher=publisher,
        catalog=CatalogPipeline(serving, policy.limits, policy.source_epoch),
        interest=InterestPipeline(serving, states, trending, policy),
        evidence=EvidencePipeline(serving),
        executor=executor,
        progress=Progress(),
        gate=CatalogueGate(),
        api=RecommendationApi(serving, policy.scenarios),
    )
