"""The sections of the settings, a model each; ``streams.settings`` reads them and is where to look first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Seconds = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0, le=100)]
DAY_SECONDS = 86_400.0


class Section(BaseModel):
    """A group of settings; an unknown name is an error, because a typo must not be a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(Section):
    """Where Kafka is and how to speak to it; handed to aiokafka (under Faust) and to kafka-python alike."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="Brokers, HOST:PORT separated by commas.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = Field(None, description="PEM file of the authority that signed the brokers.")
    ssl_certfile: Path | None = Field(None, description="PEM file of this client's certificate (mutual TLS).")
    ssl_keyfile: Path | None = Field(None, description="PEM file of this client's key (mutual TLS).")
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$", description="Tenant or environment.")
    group_id: str = Field("freshet", min_length=1, description="Consumer group of the workers.")
    partitions: int = Field(4, ge=1, le=10_000, description="Partitions of a topic that Freshet creates.")
    replication_factor: int = Field(1, ge=1, description="Replicas of a topic that Freshet creates.")
    create_topics: bool = Field(True, description="Create missing topics; otherwise only check them.")
    session_timeout_seconds: Seconds = Field(
        10.0, description="Takeover after a worker died takes this long."
    )
    source_epoch: int = Field(
        0, ge=0, lt=8_192, description="Raise it when topics were deleted and made anew: offsets restart."
    )


class QdrantSettings(Section):
    """Where the vectors live: a server by ``url``, or the engine in this process by ``path``."""

    url: str | None = Field(None, description="For example https://qdrant.internal:6333; beats `path`.")
    api_key: SecretStr | None = None
    path: Path = Field(
        Path("data/qdrant"), description="Folder of the in-process engine; one process holds it."
    )
    allow_key_over_http: bool = Field(
        False, description="Send the key unencrypted beyond this machine: only inside a trusted network."
    )
    ca_file: Path | None = Field(None, description="PEM file of the authority that signed the server.")
    certificate_file: Path | None = Field(None, description="PEM file of this client's certificate.")
    key_file: Path | None = Field(None, description="PEM file of this client's key.")
    timeout_seconds: Seconds = 5.0
    retries: int = Field(4, ge=0, le=20, description="Repeats of a call that failed for a passing reason.")
    collection_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$")


class ModelSettings(Section):
    """Which model serves, and on what."""

    path: Path = Field(Path("models"), description="A model version's folder, or a folder of versions.")
    cache: Path = Field(Path("data/models"), description="Where released versions are copied to.")
    threads: int = Field(1, ge=1, description="Threads of ONNX Runtime within one call.")
    device: Literal["cpu", "cuda"] = "cpu"


class InputSettings(Section):
    """What counts as a readable message, and how long an event waits for its item."""

    max_value_bytes: int = Field(65_536, ge=1_024, description="Larger values are dead-lettered unparsed.")
    max_future_seconds: Seconds = Field(300.0, description="Tolerance for producers whose clock runs ahead.")
    unknown_item_wait_seconds: float = Field(30.0, ge=0, description="How long a click waits for its item.")
    max_waiting_per_user: int = Field(
        64, ge=0, le=1_000, description="Events of one user that may wait at a time."
    )


class CodecSettings(Section):
    """How messages are written, and where Avro schemas are; `docs/messages.md` has the formats."""

    format: Literal["json", "avro"] = Field("json", description="Of the recommendations.")
    registry_url: str | None = Field(
        None,
        pattern=r"^https?://[^/@\s]+(/[^@\s]*)?$",
        description="Schema registry; with it Avro is read wherever a value begins with a zero byte.",
    )
    registry_username: str | None = None
    registry_password: SecretStr | None = None
    registry_ca_file: Path | None = Field(None, description="PEM file of the authority that signed it.")
    registry_timeout_seconds: Seconds = 5.0
    allow_password_over_http: bool = Field(
        False, description="Send the password unencrypted beyond this machine: only inside a trusted network."
    )
    register_schema: bool = Field(True, description="Register the recommendations' schema; else find it.")
    cloudevents: bool = Field(False, description="Recommendations carry the headers of a CloudEvent.")
    source: str = Field("freshet", min_length=1, max_length=500, description="Of these CloudEvents, a URI.")

    @model_validator(mode="after")
    def _registry_is_whole(self) -> Self:
        if self.format == "avro" and self.registry_url is None:
            raise ValueError("format avro needs registry_url: where the schema is registered")
        if self.registry_password is not None and self.registry_username is None:
            raise ValueError("registry_password needs registry_username: whose it is")
        plain = re.match(r"http://(?!(localhost|127\.0\.0\.1|\[::1\])(:|/|$))", self.registry_url or "")
        if self.registry_password is not None and plain and not self.allow_password_over_http:
            raise ValueError("registry_password would travel in the clear: use https in registry_url")
        return self


class BatchSettings(Section):
    """Micro-batches: larger is cheaper an event, shorter is fresher."""

    max_events: int = Field(256, ge=1, le=10_000)
    linger_seconds: Seconds = Field(0.02, description="How long a batch waits for more events.")
    cached_users: int = Field(50_000, ge=0, description="User states kept in memory, about 4 kB each.")
    outage_seconds: Seconds = Field(60.0, description="A store or broker away longer ends the worker.")
    stall_seconds: Seconds = Field(120.0, description="Lag without progress for this long ends the worker.")


class RecommendationSettings(Section):
    """What is recommended, and what is held back."""

    k: int = Field(20, ge=1, le=200, description="Items in one recommendation.")
    hide_seen_days: float = Field(30.0, ge=0, description="Hold back what the user clicked; 0 turns it off.")
    hide_bought_days: float = Field(
        365.0, ge=0, description="Hold back what the user bought; 0 turns it off."
    )
    trending_half_life_hours: float = Field(24.0, gt=0, description="Age at which an event counts half.")


class BehaviourSettings(Section):
    """How strongly each kind of event speaks for its item; a negative strength pushes away."""

    click: float = Field(1.0, ge=-10, le=10)
    purchase: float = Field(1.0, ge=-10, le=10, description="On top of what the model gives a purchase.")
    cart: float = Field(1.25, ge=-10, le=10)
    dislike: float = Field(-1.0, ge=-10, le=10)
    rating_neutral: float = Field(3.0, description="A rating that says neither yes nor no.")
    rating_span: float = Field(2.0, gt=0, description="This far above neutral counts like a click.")


class HistorySettings(Section):
    """How much of a user is kept: bounds of the packed history in Qdrant."""

    events: int = Field(50, ge=1, le=1_000, description="Last events, for re-encoding after a model swap.")
    seen_items: int = Field(100, ge=0, le=2_000, description="Last clicked items, for `hide_seen_days`.")
    bought_items: int = Field(200, ge=0, le=2_000, description="Last bought items, for `hide_bought_days`.")
    event_ids: int = Field(64, ge=0, le=1_000, description="Last event ids, to recognise a repeated event.")


class HttpSettings(Section):
    """The worker's own port: /metrics, /healthz, /readyz."""

    host: str = Field("127.0.0.1", description="Loopback unless told otherwise; 0.0.0.0 in a container.")
    port: int = Field(8080, ge=0, le=65_535, description="0 takes a free one and logs it.")


class UiSettings(HttpSettings):
    """The playground's port, and what it shows."""

    port: int = Field(8090, ge=0, le=65_535, description="0 takes a free one and prints it.")
    worker_url: str | None = Field(
        None,
        pattern="^https?://[^/]+/?$",
        description="Of a worker, as http://127.0.0.1:8080; default: on this machine, at `http.port`.",
    )
    scenario: str = Field("home", description="Whose lists are shown.")
    max_items: int = Field(50_000, ge=1, le=1_000_000, description="Titles kept in memory.")


class LogSettings(Section):
    """Logging of the running system, on standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG also tells what became of each event."
    )
    format: Literal["console", "json"] = Field(
        "console", description="Lines for people, or one JSON object a line."
    )


class TracingSettings(Section):
    """OpenTelemetry traces, from an event to its recommendation; `docs/observability.md` shows one."""

    enabled: bool = Field(False, description="Needs the extra `tracing`.")
    otlp_endpoint: str = Field(
        "http://127.0.0.1:4318/v1/traces",
        pattern=r"^https?://[^/@\s]+(/[^@\s]*)?$",
        description="Where traces go, by OTLP over HTTP; what it asks for: `OTEL_EXPORTER_OTLP_HEADERS`.",
    )
    sample_ratio: float = Field(
        1.0, ge=0, le=1, description="Recorded of what comes without its producer's decision."
    )


class RankingSettings(Section):
    """Where candidates come from, and whether a second stage ranks them."""

    two_stage: bool = Field(True, description="Off: nearest items alone, no evidence is collected.")
    dense_candidates: int = Field(50, ge=0, le=500, description="Nearest to the user's interest.")
    covisited_candidates: int = Field(60, ge=0, le=500, description="Seen together with the user's items.")
    trending_candidates: int = Field(10, ge=0, le=500, description="Trending over all users.")
    new_candidates: int = Field(10, ge=0, le=500, description="Newest in the catalogue.")
    ranked_from_events: float = Field(
        5.0, ge=0, description="Events an item, on average, from which on the ranker is asked."
    )
    again_candidates: int = Field(
        50, ge=0, le=500, description="What the user had most often, where `hide_*_days` is 0."
    )


class EvidenceSettings(Section):
    """What users did with items together: how it is gathered, how much is kept, how fast it fades."""

    linger_seconds: Seconds = Field(
        3.0, description="How long evidence of many events is gathered into one write."
    )
    max_messages: int = Field(2_000, ge=1, le=100_000, description="Messages gathered into one write.")
    window: int = Field(10, ge=1, le=100, description="A new event is paired with this many before it.")
    distance_decay: float = Field(0.9, gt=0, le=1, description="Weight of a pair, for each event in between.")
    click_weight: Weight = Field(1.0, description="Of an event: in a pair its root, in popularity itself.")
    purchase_weight: Weight = 3.0
    cart_weight: Weight = 2.0
    rating_weight: Weight = Field(1.0, description="Of one that is not below neutral; a dislike has none.")
    neighbours: int = Field(50, ge=1, le=1_000, description="Strongest neighbours kept of each item.")
    age_half_life_days: float = Field(90.0, gt=0, description="Age at which a pair counts half.")
    pair_half_life_days: float = Field(
        7.0, gt=0, description="Time between two events at which their pair counts half."
    )
    popularity_half_life_days: float = Field(30.0, gt=0, description="Age at which an event counts half.")
    recent_half_life_hours: float = Field(24.0, gt=0, description="The same for what is popular just now.")


class TrainerSettings(Section):
    """The trainer's process: what it trains on, its bounds, and what the gate asks of a new model."""

    models: Path = Field(Path("models"), description="Folder of versions, where new ones and reports go.")
    policy: Literal["adaptor", "adaptor-then-all", "scratch"] = Field(
        "adaptor-then-all", description="Which parts of the parent are tuned."
    )
    epochs: int = Field(15, ge=1, le=1_000, description="At most; training stops when it no longer helps.")
    click_loss_weight: Weight = Field(1.0, description="Of the next click in the loss; 0 does not train it.")
    purchase_loss_weight: Weight = Field(3.0, description="Of the next purchase in the loss, likewise.")
    threads: int = Field(1, ge=1, description="CPU threads of training.")
    ranker_rows: int = Field(4_000, ge=20, le=1_000_000, description="Questions the ranker is tuned on.")
    max_events: int = Field(200_000, ge=100, le=10_000_000, description="Newest of the window that are kept.")
    min_events: int = Field(500, ge=10, description="Fewer in the window: the request is refused.")
    max_items: int = Field(500_000, ge=1, description="A larger catalogue ends the training.")
    max_seconds: Seconds = Field(3_600.0, description="A training that takes longer is ended.")
    max_memory_mb: int = Field(8_192, ge=512, description="A training that takes more memory is ended.")
    validation_share: float = Field(
        0.2, gt=0, le=0.5, description="Newest part of the window, which the gate asks about."
    )
    references: list[tuple[str, Path]] = Field(
        [], description="Data sets (name, path) on which a new model must not be worse."
    )
    gate_test: Literal["bootstrap", "mcnemar"] = Field(
        "bootstrap", description="On NDCG@10 by user, or on hits by case."
    )
    gate_level: float = Field(0.95, gt=0.5, lt=1, description="Of the interval of the difference.")
    gate_cases: int = Field(2_000, ge=10, description="Questions asked on each slice, at most.")
    gate_min_cases: int = Field(100, ge=1, description="Fewer on the newest slice: rejected.")
    gate_max_loss: float = Field(0.05, ge=0, le=1, description="Share lost on a reference slice, at most.")
    gate_min_spread: float = Field(0.01, ge=0, le=1, description="Of item vectors and of interests.")
    gate_min_int8_overlap: float = Field(
        0.85, ge=0, le=1, description="Of the ten best, where int8 is built."
    )
    gate_min_distilled_overlap: float = Field(
        0.7, ge=0, le=1, description="Of the ten best, where a model has fewer dimensions than its parent."
    )
    gate_max_cost_ratio: float = Field(1.5, gt=0, description="Of a step, against the champion's.")
    keep_rejected: bool = Field(False, description="Keep a rejected version's folder beside its report.")
    host: str = Field("127.0.0.1", description="Of /metrics; loopback unless told otherwise.")
    port: int = Field(8081, ge=0, le=65_535, description="0 takes a free one and logs it.")

    @model_validator(mode="after")
    def _a_task_is_trained(self) -> Self:
        if self.click_loss_weight == self.purchase_loss_weight == 0:
            raise ValueError("click_loss_weight and purchase_loss_weight are both 0: nothing to train")
        return self


Detector = Literal[
    "interest_centroid",
    "interest_mmd",
    "categories_psi",
    "items_psi",
    "scores_psi",
    "recall_adwin",
    "recall_page_hinkley",
    "ndcg_adwin",
    "ndcg_page_hinkley",
    "cold_items_adwin",
    "cold_items_page_hinkley",
    "cold_users_adwin",
    "cold_users_page_hinkley",
]


class DriftSettings(Section):
    """When behaviour counts as changed, and when a training is asked for; `docs/drift.md` explains each."""

    enabled: bool = Field(True, description="Off: nothing is collected, compared or asked for.")
    scenario: str = Field("home", description="Whose published lists are compared with what users do next.")
    k: int = Field(10, ge=1, le=200, description="Items of a list that count.")
    report_seconds: Seconds = Field(10.0, description="How often a worker tells the owner of its events.")
    window_events: int = Field(
        2_000,
        ge=50,
        le=50_000,
        description="Events of all workers judged at a time; a worker tells at most that.",
    )
    sample: int = Field(
        256, ge=16, le=1_024, description="Of them, events whose texts and lists whose scores are compared."
    )
    reference_windows: int = Field(
        4, ge=2, le=50, description="Windows after a release that later ones are compared with."
    )
    consecutive: int = Field(3, ge=1, le=50, description="Windows in a row that make a shift drift.")
    significance: float = Field(
        0.01, ge=0.005, le=0.2, description="Chance that one unchanged window passes a threshold."
    )
    psi: float = Field(
        0.25, gt=0, description="Least stability index that is drift; half of it is a warning."
    )
    centroid: float = Field(0.2, gt=0, description="The same for the texts' mean, in their root mean square.")
    mmd: float = Field(0.01, gt=0, description="The same for the maximum mean discrepancy of the texts.")
    accuracy_fall: float = Field(0.2, gt=0, le=1, description="The same for recall and NDCG: share lost.")
    cold_rise: float = Field(0.1, gt=0, le=1, description="The same for the share of cold items and users.")
    adwin_delta: float = Field(0.002, gt=0, lt=1, description="Chance that ADWIN is wrong about a change.")
    page_hinkley: float = Field(150.0, gt=0, description="Its threshold, in standard deviations.")
    least_scored: int = Field(1_000, ge=32, description="Values that ADWIN and Page-Hinkley need first.")
    cold_events: float = Field(5.0, ge=0, description="An item with fewer events so far is cold.")
    warn_only: list[Detector] = Field(
        ["cold_users_adwin", "cold_users_page_hinkley", "scores_psi"],
        description="Detectors that never ask for a training, by the names in their metrics.",
    )
    cool_down_seconds: float = Field(21_600.0, ge=0, description="Least time between two requests.")
    max_interval_seconds: float = Field(
        604_800.0, ge=0, description="Ask after this long without drift, too; 0: never."
    )
    train_on_seconds: Seconds = Field(2_592_000.0, description="How much of the past is trained on.")
