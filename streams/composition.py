"""The one place where parts are put together: settings in, a wired worker out."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from encoders.config import DAY_SECONDS
from encoders.covisitation import CovisitationConfig
from encoders.errors import SettingsError
from encoders.events import EventType
from encoders.replayed_worker import ReplayConfig
from exporters.publisher import KafkaPublisher, Publisher
from exporters.tracing import UNTRACED, Tracer
from streams.api import RecommendationApi
from streams.catalog import CatalogPipeline
from streams.catalogue_gate import CatalogueGate
from streams.codec import Limits
from streams.drift.collector import Collector
from streams.drift.pipeline import DriftPipeline
from streams.drift.reporter import DriftReporter
from streams.evidence_pipeline import EvidencePipeline
from streams.fold_types import Behaviours, Bounds
from streams.kafka.connection import aiokafka_options
from streams.messages import ModelRelease
from streams.opening import counts_of, half_lives_of, open_generation, open_serving
from streams.pipeline import InterestPipeline, Policy
from streams.progress import Progress
from streams.recommendation_format import open_format
from streams.releases.changeover import Changeover, Worker, tell
from streams.releases.release import model_name, released
from streams.releases.watch import ReleaseWatch
from streams.scenario_settings import scenarios_of
from streams.schema_registry import avro_reader
from streams.serving import Serving
from streams.settings import EvidenceSettings, Settings, TracingSettings
from streams.trending_board import TrendingBoard
from streams.user_cache import UserCache
from streams.user_states import UserStates

log = logging.getLogger(__name__)


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


def covisitation_of(settings: EvidenceSettings) -> CovisitationConfig:
    """How events become evidence, in the pure core's terms."""
    return CovisitationConfig(
        window=settings.window,
        distance_decay=settings.distance_decay,
        type_weights=_type_weights(settings),
        neighbours=settings.neighbours,
        pair_half_life_seconds=settings.pair_half_life_days * DAY_SECONDS,
        age_half_life_seconds=settings.age_half_life_days * DAY_SECONDS,
    )


def _type_weights(settings: EvidenceSettings) -> tuple[float, ...]:
    """By ``EventType``."""
    weights = {
        EventType.CLICK: settings.click_weight,
        EventType.PURCHASE: settings.purchase_weight,
        EventType.CART: settings.cart_weight,
        EventType.RATING: settings.rating_weight,
    }
    return tuple(weights.get(kind, 0.0) for kind in EventType)


def replay_of(settings: Settings) -> ReplayConfig:
    """What an offline copy of the worker must share with it."""
    evidence, behaviours = settings.evidence, settings.behaviours
    return ReplayConfig(
        covisitation_of(evidence),
        half_lives_of(evidence),
        counts_of(settings.ranking),
        (behaviours.click, behaviours.purchase, behaviours.cart, behaviours.dislike, 1.0),
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


def open_tracer(settings: TracingSettings, service: str) -> Tracer:
    """What traces the process named ``service``, if anything; raises ``SettingsError`` without the extra."""
    if not settings.enabled:
        return UNTRACED
    try:
        from exporters.opentelemetry_tracer import OpenTelemetryTracer, otlp
    except ModuleNotFoundError as error:
        raise SettingsError(f"tracing needs {error.name}: pip install 'freshet[tracing]'") from None
    return OpenTelemetryTracer(service, settings.sample_ratio, otlp(settings.otlp_endpoint))


def compose(settings: Settings) -> Parts:
    """Wire a worker: loads the model, opens the store, reads the catalogue; blocks. Raises as above."""
    _, release = released(settings)
    publisher = KafkaPublisher(aiokafka_options(settings.kafka), settings.kafka.topic_prefix)
    return compose_on(publisher, settings, release)


def compose_on(publisher: Publisher, settings: Settings, release: ModelRelease | None = None) -> Parts:
    """The same on another publisher; ``release`` is what is released at the start."""
    # A thread for each agent's batch: the event loop stays free.
    executor = ThreadPoolExecutor(4, thread_name_prefix="batch")
    serving = open_serving(settings, publisher, executor, release)
    serving.tracer = open_tracer(settings.tracing, "freshet-worker")
    avro = avro_reader(settings.codec)
    policy = replace(policy_of(settings), avro=avro, written=open_format(settings))
    states = UserStates(serving, UserCache(settings.batch.cached_users))
    half_life = settings.recommendations.trending_half_life_hours
    trending = TrendingBoard(serving.store, serving.names, half_life, policy.source_epoch)
    catalog = CatalogPipeline(serving, policy.limits, policy.source_epoch, avro)
    name = release.model if release else model_name(settings, {})
    reporter = reporter_of(settings, serving, name)
    interest = InterestPipeline(serving, states, trending, policy, reporter)
    evidence = EvidencePipeline(serving)

    releases = ReleaseWatch(settings.kafka, name, serving.metrics, release)
    worker = Worker(
        serving=serving,
        locks=(catalog.lock, evidence.lock, interest.lock),
        forget=evidence.model_changed,
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
        api=RecommendationApi(serving, policy.scenarios, policy.behaviours),
    )
