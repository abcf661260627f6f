"""The chart, rendered: cases of values that belong together, and the manifests that come of them."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.tools import tool

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "freshet"
KUBERNETES = "1.34.0"
Manifest = dict[str, Any]

MINIMAL: dict[str, Any] = {
    "image": {"repository": "registry.example.com/freshet"},
    "kafka": {"bootstrapServers": "kafka:9092"},
    "model": {"uri": "https://models.example.com/freshet/20261101-1a2b3c4d"},
}
"""The least that can be installed."""


@dataclass(frozen=True)
class Case:
    """Values to render: files of the chart, then values over them."""

    files: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    release: str = "shop"


CASES = {
    "small": Case(("values-small.yaml",)),
    "production": Case(("values-production.yaml",)),
    "gpu": Case(("values-gpu.yaml",)),
    "minimal": Case(values=MINIMAL),
    "demo": Case(("values-demo.yaml",)),
    "other-operators": Case(
        ("values-production.yaml",),
        {
            "worker": {
                "autoscaling": {
                    "by": "hpa",
                    "authenticationRef": "",
                    "externalMetric": {"name": "freshet_lag", "matchLabels": {"group": "freshet"}},
                }
            },
            "monitoring": {"podMonitor": {"enabled": False}, "serviceMonitor": {"enabled": True}},
            "ui": {"enabled": True},
            "networkPolicy": {"ui": [{"podSelector": {"matchLabels": {"app": "ingress"}}}]},
            "schemaRegistry": {
                "url": "https://registry:8081",
                "username": "freshet",
                "existingSecret": "freshet-registry",
                "caSecret": "registry-ca",
            },
            "settings": {"codec": {"format": "avro"}},
        },
    ),
    "mutual-tls": Case(
        values=MINIMAL
        | {
            "kafka": {
                "bootstrapServers": "a:9093,b:9094",
                "securityProtocol": "SSL",
                "caSecret": "ca",
                "clientSecret": "user",
            },
            "topics": {"createdBy": "nobody"},
            "serviceAccount": {"create": False, "name": "mine"},
            "networkPolicy": {"enabled": False},
            "worker": {"podDisruptionBudget": {"enabled": False}},
        }
    ),
    "long-names": Case(
        ("values-production.yaml",), release="a-release-with-the-longest-name-that-helm-would-take"
    ),
    "production-gpu": Case(
        ("values-production.yaml",),
        {
            "worker": {"gpu": {"enabled": True}, "extraEnv": [{"name": "TZ", "value": "UTC"}]},
            "image": {"tag": "1"},
        },
    ),
    "one-worker-and-trainer": Case(
        ("values-small.yaml",),
        {
            "model": {"volume": {"accessMode": "ReadWriteMany", "existingClaim": "models"}},
            "trainer": {"enabled": True, "tag": "1.2.3-trainer"},
            "image": {"digest": "sha256:" + "0" * 64},
            "qdrant": {"storage": {"existingClaim": "vectors", "storageClass": "fast"}},
        },
    ),
}


def helm(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm; ``values`` are read last and beat those before."""
    command = [tool("helm"), *arguments, "--kube-version", KUBERNETES, "--values", "-"]
    given = yaml.safe_dump(dict(values or {}))
    return subprocess.run(command, input=given, capture_output=True, text=True)


def template(case: Case, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    """Render a case."""
    files = [argument for name in case.files for argument in ("--values", str(CHART / name))]
    return helm("template", case.release, str(chart), "--namespace", "shop", *files, values=case.values)


def is_demo(manifest: Manifest) -> bool:
    """Whether it belongs to a demo's Kafka or Qdrant, whose images are not Freshet's."""
    component: str = manifest["metadata"]["labels"].get("app.kubernetes.io/component", "")
    return component.startswith("demo-")


class Rendered:
    """The manifests of a case."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.manifests: list[Manifest] = [one for one in yaml.safe_load_all(text) if one]

    def of(self, kind: str) -> list[Manifest]:
        """Those of a kind."""
        return [one for one in self.manifests if one["kind"] == kind]

    def own(self) -> list[Manifest]:
        """Deployments of Freshet's, without what a demo brings along."""
        return [one for one in self.of("Deployment") if not is_demo(one)]

    def pods(self) -> Iterator[tuple[Manifest, Manifest]]:
        """(metadata, spec) of every pod, the test's among them."""
        for workload in (*self.of("Deployment"), *self.of("Job")):
            template = workload["spec"]["template"]
            yield template["metadata"], template["spec"]
        for pod in self.of("Pod"):
            yield pod["metadata"], pod["spec"]

    def containers(self) -> Iterator[Manifest]:
        """Every container, those that run first among them."""
        for _, spec in self.pods():
            yield from spec.get("initContainers", [])
            yield from spec["containers"]

    def deployment(self, component: str) -> Manifest:
        """The worker's, the trainer's, or the playground's."""
        (found,) = [one for one in self.of("Deployment") if one["metadata"]["name"].endswith(f"-{component}")]
        return found

    def toml(self) -> str:
        """The configuration file."""
        (config,) = [one for one in self.of("ConfigMap") if "freshet.toml" in one["data"]]
        text: str = config["data"]["freshet.toml"]
        return text

    def settings(self) -> dict[str, dict[str, Any]]:
        """The same, read: section -> setting -> value."""
        return tomllib.loads(self.toml())
