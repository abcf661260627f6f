"""The one place where settings are read: environment, then a TOML file, then the defaults here.

Every setting has an environment variable ``FRESHET_<SECTION>__<NAME>``, for example
``FRESHET_KAFKA__BOOTSTRAP_SERVERS``; the file is named by ``FRESHET_CONFIG`` or ``--config``, one table a
section (``streams.settings_sections`` and, for scenarios, ``streams.scenario_settings`` hold their fields).
Secrets come from the environment or from files in ``FRESHET_SECRETS_DIR``, one file a variable.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from encoders.errors import SettingsError
from streams.scenario_settings import ScenarioSettings, over_defaults
from streams.settings_sections import (
    DAY_SECONDS,
    BatchSettings,
    BehaviourSettings,
    CodecSettings,
    DriftSettings,
    EvidenceSettings,
    HistorySettings,
    HttpSettings,
    InputSettings,
    KafkaSettings,
    LogSettings,
    ModelSettings,
    QdrantSettings,
    RankingSettings,
    RecommendationSettings,
    Seconds,
    Section,
    TracingSettings,
    TrainerSettings,
    UiSettings,
)

__all__ = [
    "DAY_SECONDS",
    "BatchSettings",
    "BehaviourSettings",
    "CodecSettings",
    "DriftSettings",
    "EvidenceSettings",
    "HistorySettings",
    "HttpSettings",
    "InputSettings",
    "KafkaSettings",
    "LogSettings",
    "ModelSettings",
    "QdrantSettings",
    "RankingSettings",
    "RecommendationSettings",
    "ScenarioSettings",
    "Seconds",
    "Section",
    "Settings",
    "TracingSettings",
    "TrainerSettings",
    "UiSettings",
    "load_settings",
]


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
    codec: CodecSettings = CodecSettings()
    input: InputSettings = InputSettings()
    batch: BatchSettings = BatchSettings()
    recommendations: RecommendationSettings = RecommendationSettings()
    scenarios: dict[str, ScenarioSettings] = Field({}, validate_default=True)
    ranking: RankingSettings = RankingSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    history: HistorySettings = HistorySettings()
    behaviours: BehaviourSettings = BehaviourSettings()
    http: HttpSettings = HttpSettings()
    drift: DriftSettings = DriftSettings()
    trainer: TrainerSettings = TrainerSettings()
    ui: UiSettings = UiSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()

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

    @field_validator("scenarios", mode="before")
    @classmethod
    def _keep_default_scenarios(cls, given: object) -> object:
        return over_defaults(given)

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
        parts.append(f"{name}: {item['msg'].removeprefix('Value error, ')}")
    return "wrong settings: " + "; ".join(parts)
