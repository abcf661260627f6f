"""Every manifest against the schemas of several Kubernetes versions, strictly, by kubeconform."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.deploy.chart import CASES, template
from tests.deploy.tools import tool

Report = dict[str, Any]

OWN = Path(__file__).parent / "schemas"
BUNDLED = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
VERSIONS = ("1.27.0", "1.31.0", "1.34.0", "1.37.0")
"""The oldest that Chart.yaml names, the newest that has schemas, and two between."""
NOTHING_ELSE = {"invalid": 0, "errors": 0, "skipped": 0}
KINDS = (
    "configmap-v1",
    "deployment-apps-v1",
    "horizontalpodautoscaler-autoscaling-v2",
    "job-batch-v1",
    "networkpolicy-networking-v1",
    "persistentvolumeclaim-v1",
    "pod-v1",
    "poddisruptionbudget-policy-v1",
    "service-v1",
    "serviceaccount-v1",
)


def references(schema: object) -> set[str]:
    """Definitions that a schema names."""
    return set(re.findall(r'#/\$defs/([^"]+)"', json.dumps(schema)))


def standalone(kind: str, version: str) -> dict[str, Any]:
    """A bundled schema with the definitions that it needs: kubeconform would look for them elsewhere."""
    folder = BUNDLED / f"v{version}-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text())["$defs"]
    schema: dict[str, Any] = json.loads(
        (folder / f"{kind}.json").read_text().replace("/api/_definitions.json", "")
    )
    del schema["$id"]
    needed: dict[str, Any] = {}
    while missing := references([schema, needed]) - needed.keys():
        needed |= {name: definitions[name] for name in missing}
    return schema | {"$defs": needed}


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of schemas for each version."""
    folder = tmp_path_factory.mktemp("schemas")
    for version in VERSIONS:
        (folder / f"v{version}").mkdir()
        for kind in KINDS:
            (folder / f"v{version}" / f"{kind}.json").write_text(json.dumps(standalone(kind, version)))
    return folder


@pytest.fixture(scope="session")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of manifests for each case."""
    folder = tmp_path_factory.mktemp("manifests")
    for name, case in CASES.items():
        (folder / f"{name}.yaml").write_text(template(case).stdout)
    return folder


@pytest.fixture(scope="session")
def check(schemas: Path) -> Callable[[str, Path], Report]:
    """Run kubeconform for a Kubernetes version on a file or folder; a run is done once."""

    @cache
    def run(version: str, path: Path) -> Report:
        kubernetes = (
            f"{schemas}/{{{{.NormalizedKubernetesVersion}}}}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
        )
        custom = f"{OWN}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
        command = [tool("kubeconform"), "-strict", "-summary", "-output", "json"]
        command += [
            "-kubernetes-version",
            version,
            "-schema-location",
            kubernetes,
            "-schema-location",
            custom,
        ]
        report: Report = json.loads(subprocess.run([*command, str(path)], capture_output=True).stdout)
        return report

    return run


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_hold_against_the_schemas_of_a_version(
    check: Callable[[str, Path], Report], manifests: Path, version: str
) -> None:
    report = check(version, manifests)
    text = "".join(path.read_text() for path in manifests.iterdir())
    assert report["resources"] == []
    assert report["summary"] == {"valid": len(re.findall("^kind:", text, re.M)), **NOTHING_ELSE}


def test_wrong_fields_are_found(
    check: Callable[[str, Path], Report], manifests: Path, tmp_path: Path
) -> None:
    wrong = {
        "Deployment": ("  revisionHistoryLimit: 5", "  revisionHistory: 5"),
        "NetworkPolicy": ("  policyTypes:", "  policyKinds:"),
        "ScaledObject": ("  pollingInterval: 15", "  pollingInterval: often"),
        "PodMonitor": ("  podMetricsEndpoints:", "  podEndpoints:"),
        "ServiceMonitor": ("  endpoints:\n    - port: metrics", "  endpoints:\n    - ports: metrics"),
        "KafkaTopic": ("  partitions: 12", "  partitions: twelve"),
        "HorizontalPodAutoscaler": ("  minReplicas: 3", "  minReplicaCount: 3"),
    }
    text = "\n---\n".join(
        (manifests / f"{name}.yaml").read_text() for name in ("production", "other-operators")
    )
    for right, changed in wrong.values():
        text = text.replace(right, changed)
    (tmp_path / "wrong.yaml").write_text(text)
    report = check(VERSIONS[-1], tmp_path / "wrong.yaml")
    assert {resource["kind"] for resource in report["resources"]} == set(wrong)
