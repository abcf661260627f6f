"""The one place where settings are read: environment, then a TOML file, then the defaults here.

Every setting has an environment variable ``FRESHET_<SECTION>__<NAME>``, for example
``FRESHET_KAFKA__BOOTSTRAP_SERVERS``; the file is named by ``FRESHET_CONFIG`` or ``--config``, one table a
section. Secrets come from the environment or from files in ``FRESHET_SECRETS_DIR``, one file a variable.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from encoders.errors import SettingsError

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


class Settings(BaseSettings):
    """All settings, validated. Make one with :func:`load_settings`, which turns errors into one line."""

    model_config = SettingsConfigDict(
        env_prefix="FRESHET_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    kafka: KafkaSettings = KafkaSettings()
    qdrant: QdrantSettings = QdrantSettings()
    model: ModelSettings = ModelSettings()
    input: InputSettings = InputSettings()
    batch: BatchSettings = BatchSettings()
    recommendations: RecommendationSettings = RecommendationSettings()
    history: HistorySettings = HistorySettings()
    behaviours: BehaviourSettings = BehaviourSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then secret files, then the TOML file."""
        secrets = NestedSecretsSettingsSource(
            file_secret_settings,
            secrets_dir=os.environ.get("FRESHET_SECRETS_DIR"),
            secrets_dir_missing="error",
            secrets_prefix="FRESHET_",
            secrets_nested_delimiter="__",
        )
        file = TomlConfigSettingsSource(settings_cls, os.environ.get("FRESHET_CONFIG"))
        return init_settings, env_settings, secrets, file

    @model_validator(mode="after")
    def _session_fits(self) -> Self:
        if self.batch.stall_seconds <= self.kafka.session_timeout_seconds:
            raise ValueError("batch.stall_seconds must exceed kafka.session_timeout_seconds")
        return self


def load_settings(config: Path | None = None, **sections: Any) -> Settings:
    """Read the settings; ``sections`` (from the command line) beat the environment.

    Raises ``SettingsError`` with one line that names each wrong setting and its environment variable.
    """
    if config is not None:
        os.environ["FRESHET_CONFIG"] = str(config)
    file = os.environ.get("FRESHET_CONFIG")
    if file and not Path(file).is_file():
        raise SettingsError(f"no configuration file at {file}: check --config or FRESHET_CONFIG")
    _refuse_unknown_sections()
    try:
        return Settings(**sections)
    except ValidationError as error:
        raise SettingsError(_describe(error)) from None
    except ValueError as error:
        raise SettingsError(f"the configuration cannot be read: {error}") from None


def _refuse_unknown_sections() -> None:
    """A misspelt section would be a silent default: pydantic looks only for the names that it knows."""
    for name in sorted(os.environ):
        section, nested, _ = name.upper().removeprefix("FRESHET_").partition("__")
        if name.upper().startswith("FRESHET_") and nested and section.lower() not in Settings.model_fields:
            known = ", ".join(Settings.model_fields)
            raise SettingsError(f"wrong settings: {name}: no section {section.lower()!r}; there are {known}")


def _describe(error: ValidationError) -> str:
    parts = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        path = [str(part) for part in item["loc"]]
        name = "FRESHET_" + "__".join(path).upper() if path else "settings"
        parts.append(f"{name}: {item['msg']}")
    return "wrong settings: " + "; ".join(parts)
