"""A Kubernetes API server of the test's own, on loopback, with etcd behind it and no node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploy.chart import Manifest
from tests.support.workers import free_port

TOKEN = "of-this-test"
Kind = dict[str, Any]


def binary(name: str) -> str:
    """In $KUBEBUILDER_ASSETS, as ``setup-envtest`` fills it, or on PATH; skips the test where it is not."""
    found = shutil.which(name, path=os.environ.get("KUBEBUILDER_ASSETS", "")) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is neither in $KUBEBUILDER_ASSETS nor on PATH")
    return found


@dataclass(frozen=True)
class ApiServer:
    """What asks it; and the file by which helm finds it."""

    client: httpx.Client
    kubeconfig: Path

    def create(self, manifest: Manifest, namespace: str = "", *, dry_run: bool = False) -> str:
        """Create an object; what the server has against it or warns of, unknown fields among that."""
        kind = self.kinds(manifest["apiVersion"])[manifest["kind"]]
        where = manifest["metadata"].get("namespace", namespace)
        path = f"/namespaces/{where}/{kind['name']}" if kind["namespaced"] else f"/{kind['name']}"
        asked = {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        answer = self.client.post(_group(manifest["apiVersion"]) + path, json=manifest, params=asked)
        said: str = "" if answer.is_success else answer.json()["message"]
        return said + "".join(answer.headers.get_list("warning"))

    def kinds(self, api_version: str) -> dict[str, Kind]:
        """What a version of a group has; none where there is no such group."""
        answer = self.client.get(_group(api_version))
        found = answer.json()["resources"] if answer.is_success else []
        return {one["kind"]: one for one in found if "/" not in one["name"]}


def _group(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


@contextmanager
def api_server(folder: Path) -> Iterator[ApiServer]:
    """One that answers."""
    api, etcd = binary("kube-apiserver"), binary("etcd")
    port, clients, peers = free_port(), f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    key = folder / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
    store = [etcd, f"--data-dir={folder}/etcd", f"--listen-client-urls={clients}"]
    store += [f"--advertise-client-urls={clients}", f"--listen-peer-urls={peers}"]
    server = [api, f"--etcd-servers={clients}", "--bind-address=127.0.0.1", f"--secure-port={port}"]
    server += ["--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", f"--cert-dir={folder}"]
    server += [f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"]
    server += ["--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=RBAC"]
    server += [f"--token-auth-file={folder}/tokens.csv", "--service-cluster-ip-range=10.0.0.0/24"]
    with ExitStack() as stack:
        stack.enter_context(_running(store, folder / "etcd.log"))
        process = stack.enter_context(_running(server, folder / "api.log"))
        address, headers = f"https://127.0.0.1:{port}", {"Authorization": f"Bearer {TOKEN}"}
        # Its certificate is its own, and it is on loopback.
        client = httpx.Client(base_url=address, headers=headers, verify=False, timeout=30.0)
        stack.enter_context(client)
        _wait_ready(client, process, folder / "api.log")
        yield ApiServer(client, _kubeconfig(folder, address))


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _wait_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/readyz").is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"kube-apiserver is not ready:\n{log.read_text()[-3_000:]}")


def _kubeconfig(folder: Path, address: str) -> Path:
    cluster = {"server": address, "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path
