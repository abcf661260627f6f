"""The chart on a real Kubernetes API server, where one is at hand: installed, upgraded, removed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from itertools import chain

import pytest
import yaml

from tests.deploy.api_server import ApiServer, api_server
from tests.deploy.chart import CASES, CHART, Case, Manifest, Rendered, template
from tests.deploy.tools import tool

POLICY = "pod-security.kubernetes.io"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("kubernetes")) as server:
        _teach_kinds_of_operators(server)
        server.create(_named("RuntimeClass", "nvidia", apiVersion="node.k8s.io/v1", handler="nvidia"))
        server.create(_named("Namespace", "kafka"))
        yield server


def _named(kind: str, name: str, **fields: object) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}} | fields


def _teach_kinds_of_operators(server: ApiServer) -> None:
    """Without their fields, which kubeconform checks."""
    manifests = chain.from_iterable(Rendered(template(case).stdout).manifests for case in CASES.values())
    kinds = {(one["apiVersion"], one["kind"]) for one in manifests}
    missing = {(version, kind) for version, kind in kinds if kind not in server.kinds(version)}
    for version, kind in missing:
        assert server.create(_definition(*version.split("/"), kind)) == ""
    deadline = time.monotonic() + 30
    while not all(kind in server.kinds(version) for version, kind in missing):
        assert time.monotonic() < deadline, missing
        time.sleep(0.1)


def _definition(group: str, version: str, kind: str) -> Manifest:
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    names = {"kind": kind, "plural": plural}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [served]}
    definition = _named("CustomResourceDefinition", f"{plural}.{group}", spec=spec)
    return definition | {"apiVersion": "apiextensions.k8s.io/v1"}


@pytest.fixture
def namespace(server: ApiServer, request: pytest.FixtureRequest) -> str:
    """One where pods must hold against the policy ``restricted``."""
    name: str = f"{request.node.originalname.replace('_', '-')[-30:].strip('-')}-{request.node.callspec.id}"
    made = _named("Namespace", name)
    made["metadata"]["labels"] = {f"{POLICY}/{what}": "restricted" for what in ("enforce", "warn")}
    assert server.create(made) == ""
    return name


@pytest.mark.parametrize("case", CASES)
def test_the_server_has_nothing_against_a_manifest_or_a_pod(
    server: ApiServer, namespace: str, case: str
) -> None:
    rendered = Rendered(
        template(CASES[case]).stdout.replace("namespace: shop\n", f"namespace: {namespace}\n")
    )
    accounts = {pod["serviceAccountName"] for _, pod in rendered.pods() if "serviceAccountName" in pod}
    for account in accounts | {"default"}:
        # Of the release, or of the controllers, of which none runs here.
        assert server.create(_named("ServiceAccount", account), namespace) == ""
    wanted = [one for one in rendered.manifests if one["kind"] != "ServiceAccount"]
    wanted += [_pod(*parts) for parts in rendered.pods()]
    said = {
        one["metadata"].get("name", one["kind"]): server.create(one, namespace, dry_run=True)
        for one in wanted
    }
    assert {name: text for name, text in said.items() if text} == {}


def _pod(metadata: Manifest, spec: Manifest) -> Manifest:
    own = {"restartPolicy": "Always"} | spec
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, "generateName": "pod-"}, "spec": own}


@pytest.mark.parametrize("case", CASES)
def test_a_release_is_installed_upgraded_and_removed(server: ApiServer, namespace: str, case: str) -> None:
    release = CASES[case].release
    again = ("--set", "worker.terminationGraceSeconds=90,service.port=8081")
    steps = (
        ("install", *_chart(CASES[case])),
        ("upgrade", *_chart(CASES[case]), *again),
        ("rollback", release),
    )
    for step in (*steps, ("uninstall", release)):
        # Hooks wait for pods, and no node runs any.
        done = _helm(server, CASES[case], *step, "--no-hooks", "--namespace", namespace)
        assert done.returncode == 0, f"{step[0]}: {done.stderr}"


def _chart(case: Case) -> list[str]:
    files = [argument for name in case.files for argument in ("--values", str(CHART / name))]
    return [case.release, str(CHART), *files, "--values", "-"]


def _helm(server: ApiServer, case: Case, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"KUBECONFIG": str(server.kubeconfig)}
    given = yaml.safe_dump(dict(case.values))
    return subprocess.run(
        [tool("helm"), *arguments], env=environment, input=given, capture_output=True, text=True
    )
