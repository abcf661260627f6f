"""compose.yaml: by the schema of its specification, with exact images, and with files that are there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.settings import Settings
from tests.deploy.tools import tool

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("freshet:")}
BUILT = {name for name, service in SERVICES.items() if "build" in service}


def load(path: Path) -> subprocess.CompletedProcess[str]:
    """Have Compose's own loader read, validate and resolve a file."""
    command = [tool("compose-spec"), "--format", "json", str(path)]
    return subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True)


def test_composes_own_loader_takes_the_file() -> None:
    result = load(DEPLOY / "compose.yaml")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["services"].keys() == SERVICES.keys()


def test_the_loader_refuses_a_name_that_is_none(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((DEPLOY / "compose.yaml").read_text().replace("read_only: true", "readonly: true"))
    assert "readonly" in load(wrong).stderr


@pytest.mark.parametrize("service", SERVICES)
def test_images_have_exact_tags(service: str) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+(-trainer)?", SERVICES[service]["image"])


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_open_to_this_machine_alone(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))


@pytest.mark.parametrize("service", sorted(OURS))
def test_freshets_containers_have_no_privileges_and_a_read_only_root(service: str) -> None:
    given = SERVICES[service]
    assert given["read_only"]
    assert given["cap_drop"] == ["ALL"]
    assert given["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", sorted(BUILT))
def test_what_is_built_is_a_stage_of_the_dockerfile(service: str) -> None:
    build = SERVICES[service]["build"]
    dockerfile = (DEPLOY / build["context"] / build["dockerfile"]).read_text()
    assert f" AS {build['target']}\n" in dockerfile


def test_the_playground_is_shown_where_it_listens_and_asks_a_worker() -> None:
    ui = SERVICES["ui"]
    settings = Settings.model_fields
    port = settings["ui"].default.port
    assert ui["ports"] == [f"127.0.0.1:{port}:{port}"]
    worker = f"http://worker:{settings['http'].default.port}"
    assert ui["environment"]["FRESHET_UI__WORKER_URL"] == worker


def test_files_that_are_mounted_are_there() -> None:
    mounts = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    sources = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", mount).split(":")[0] for mount in mounts]
    assert not [source for source in sources if source.startswith(".") and not (DEPLOY / source).exists()]


def test_prometheus_scrapes_workers_and_trainer_on_their_ports() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    scraped = {
        name: entry["port"]
        for job in config["scrape_configs"]
        for entry in job["dns_sd_configs"]
        for name in entry["names"]
    }
    settings = Settings.model_fields
    assert scraped == {"worker": settings["http"].default.port, "trainer": settings["trainer"].default.port}


def test_grafana_reads_its_dashboards_where_they_are_mounted() -> None:
    provider = yaml.safe_load(
        (DEPLOY / "grafana" / "provisioning" / "dashboards" / "freshet.yaml").read_text()
    )
    (mount,) = [one for one in SERVICES["grafana"]["volumes"] if one.startswith("./grafana:")]
    folder = mount.split(":")[1]
    assert provider["providers"][0]["options"]["path"] == f"{folder}/dashboards"
    assert SERVICES["grafana"]["environment"]["GF_PATHS_PROVISIONING"] == f"{folder}/provisioning"
