"""The sections of the settings, a model each; ``streams.settings`` reads them and is where to look first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Seconds = Annotated[float, Field(gt=0)]
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


class LogSettings(Section):
    """Logging of the running system."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


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
    neighbours: int = Field(50, ge=1, le=1_000, description="Strongest neighbours kept of each item.")
    age_half_life_days: float = Field(90.0, gt=0, description="Age at which a pair counts half.")
    pair_half_life_days: float = Field(
        7.0, gt=0, description="Time between two events at which their pair counts half."
    )
    popularity_half_life_days: float = Field(30.0, gt=0, description="Age at which an event counts half.")
    recent_half_life_hours: float = Field(24.0, gt=0, description="The same for what is popular just now.")
