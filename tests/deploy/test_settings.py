"""What the chart, the images and compose set is read by Freshet's own settings."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from streams.settings import Settings, load_settings
from tests.deploy.chart import CASES, CHART, Rendered, template

DEPLOY = CHART.parents[1]
SECRETS = "/etc/freshet/secrets/"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FRESHET_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("FRESHET_CONFIG", raising=False)


def read(toml: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a configuration file."""
    path = tmp_path / "freshet.toml"
    path.write_text(toml)
    monkeypatch.setenv("FRESHET_CONFIG", str(path))
    return load_settings()


def image_environment() -> dict[str, str]:
    """FRESHET_* variables of the images."""
    return dict(re.findall(r"(FRESHET_\w+)=(\S+)", (DEPLOY / "Dockerfile").read_text()))


def test_configuration_of_the_chart_holds(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(rendered.toml(), tmp_path, monkeypatch)


def test_settings_of_the_values_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(Rendered(template(CASES["production"]).stdout).toml(), tmp_path, monkeypatch)
    assert settings.batch.cached_users == 100_000
    assert settings.scenarios["home"].exploration == 0.05
    assert len(settings.scenarios["home"].filters) == 2
    assert settings.log.format == "json"


def test_secrets_are_read_from_the_files_that_are_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = Rendered(template(CASES["other-operators"]).stdout)
    (worker,) = rendered.deployment("worker")["spec"]["template"]["spec"]["containers"]
    mounted = [mount["mountPath"] for mount in worker["volumeMounts"]]
    folder = tmp_path / "secrets"
    folder.mkdir()
    for path in [path for path in mounted if path.startswith(SECRETS)]:
        (folder / path.removeprefix(SECRETS)).write_text("hidden")
    monkeypatch.setenv("FRESHET_SECRETS_DIR", str(folder))
    settings = read(rendered.toml(), tmp_path, monkeypatch)
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == "hidden"
    assert settings.codec.registry_password is not None
    assert settings.codec.registry_password.get_secret_value() == "hidden"
    assert settings.qdrant.api_key is not None
    assert settings.qdrant.api_key.get_secret_value() == "hidden"


def test_environment_of_the_images_says_what_the_chart_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment beats the file: where they differed, the chart's word would be lost."""
    toml = Rendered(template(CASES["small"]).stdout).toml()
    plain = read(toml, tmp_path, monkeypatch)
    for name, value in image_environment().items():
        monkeypatch.setenv(name, value)
    assert read(toml, tmp_path, monkeypatch) == plain


@pytest.mark.parametrize("service", ["worker", "trainer", "ui"])
def test_environment_of_compose_holds(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, value in (image_environment() | compose["services"][service]["environment"]).items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value))
    settings = load_settings()
    assert settings.kafka.bootstrap_servers == "kafka:9092"
    assert settings.qdrant.url == "http://qdrant:6333"
