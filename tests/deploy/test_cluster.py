"""How the parts of the chart find each other: labels, selectors, ports, names, numbers of workers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.deploy.chart import CASES, CHART, Case, Rendered, helm, template

LABEL = 63


def _matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def _labels(rendered: Rendered, component: str) -> dict[str, str]:
    labels: dict[str, str] = rendered.deployment(component)["spec"]["template"]["metadata"]["labels"]
    return labels


def test_names_and_labels_fit_kubernetes(rendered: Rendered) -> None:
    for manifest in rendered.manifests:
        metadata = manifest["metadata"]
        assert len(metadata["name"]) <= LABEL
        assert all(len(value) <= LABEL for value in metadata["labels"].values())


def test_names_of_a_kind_differ(rendered: Rendered) -> None:
    named = [
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in rendered.manifests
    ]
    assert len(set(named)) == len(named)


def test_every_manifest_has_the_recommended_labels(rendered: Rendered) -> None:
    wanted = {"name", "instance", "version", "managed-by"}
    for manifest in rendered.manifests:
        assert {f"app.kubernetes.io/{name}" for name in wanted} <= manifest["metadata"]["labels"].keys()


def test_selectors_of_workloads_are_the_labels_of_their_pods(rendered: Rendered) -> None:
    for deployment in rendered.of("Deployment"):
        spec = deployment["spec"]
        assert _matches(spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"])


def test_service_and_budget_choose_workers_and_nothing_else(rendered: Rendered) -> None:
    selectors = [one["spec"]["selector"] for one in rendered.of("Service")]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in rendered.of("PodDisruptionBudget")]
    for selector in selectors:
        chosen = [
            metadata["labels"]["app.kubernetes.io/component"]
            for metadata, _ in rendered.pods()
            if _matches(selector, metadata["labels"])
        ]
        assert chosen == ["worker"]


def test_policies_choose_one_workload_each_and_let_its_own_port_in(rendered: Rendered) -> None:
    ports = {"worker": 8080, "trainer": 8081}
    for policy in rendered.of("NetworkPolicy"):
        component = policy["metadata"]["labels"]["app.kubernetes.io/component"]
        assert _matches(policy["spec"]["podSelector"]["matchLabels"], _labels(rendered, component))
        let_in = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
        assert set(let_in) <= {ports[component]}


def test_policies_let_out_to_dns_kafka_and_qdrant(rendered: Rendered) -> None:
    settings = rendered.settings()
    wanted = {53} | {int(one.rpartition(":")[2]) for one in settings["kafka"]["bootstrap_servers"].split(",")}
    for policy in rendered.of("NetworkPolicy"):
        component = policy["metadata"]["labels"]["app.kubernetes.io/component"]
        open_ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        stores = {6333} if component == "worker" and "url" in settings["qdrant"] else set()
        assert wanted | stores <= open_ports


def test_the_test_pod_may_ask_the_worker(rendered: Rendered) -> None:
    (test,) = rendered.of("Pod")
    for policy in rendered.of("NetworkPolicy"):
        if policy["metadata"]["labels"]["app.kubernetes.io/component"] == "worker":
            (rule,) = policy["spec"]["ingress"]
            assert _matches(rule["from"][0]["podSelector"]["matchLabels"], test["metadata"]["labels"])


def test_monitors_choose_every_workload_and_name_its_port(rendered: Rendered) -> None:
    for monitor in rendered.of("PodMonitor"):
        scraped = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
        for deployment in rendered.of("Deployment"):
            pod = deployment["spec"]["template"]
            assert _matches(monitor["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"])
            assert pod["spec"]["containers"][0]["ports"][0]["name"] in scraped


def test_there_are_never_more_workers_than_partitions(rendered: Rendered) -> None:
    partitions = rendered.settings()["kafka"]["partitions"]
    most = [one["spec"]["maxReplicaCount"] for one in rendered.of("ScaledObject")]
    most = most or [rendered.deployment("worker")["spec"]["replicas"]]
    assert most[0] <= partitions


def test_a_scaler_alone_decides_the_number_and_goes_down_slowly(rendered: Rendered) -> None:
    for scaler in rendered.of("ScaledObject"):
        worker = rendered.deployment("worker")
        assert scaler["spec"]["scaleTargetRef"]["name"] == worker["metadata"]["name"]
        assert "replicas" not in worker["spec"]
        behavior = scaler["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert (
            behavior["scaleDown"]["stabilizationWindowSeconds"]
            > behavior["scaleUp"]["stabilizationWindowSeconds"]
        )
        assert [policy["value"] for policy in behavior["scaleDown"]["policies"]] == [1]


def test_a_scaler_watches_the_lag_of_the_events_in_the_workers_group(rendered: Rendered) -> None:
    kafka = rendered.settings()["kafka"]
    for scaler in rendered.of("ScaledObject"):
        triggers = [one["metadata"] for one in scaler["spec"]["triggers"]]
        assert [one["topic"] for one in triggers] == [
            kafka["topic_prefix"] + name for name in ("clicks", "purchases")
        ]
        assert {one["consumerGroup"] for one in triggers} == {kafka["group_id"]}


def test_a_rollout_never_starts_a_worker_beyond_those_that_may_run(rendered: Rendered) -> None:
    strategy = rendered.deployment("worker")["spec"]["strategy"]
    if "url" in rendered.settings()["qdrant"]:
        assert strategy["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    else:
        assert strategy == {"type": "Recreate"}


def test_claims_outlive_the_release(rendered: Rendered) -> None:
    for claim in rendered.of("PersistentVolumeClaim"):
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_gpus_are_asked_for_by_workers_alone(rendered: Rendered) -> None:
    limits = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        for one in rendered.of("Deployment")
    }
    asking = [name for name, limit in limits.items() if "nvidia.com/gpu" in limit]
    cuda = rendered.settings()["model"]["device"] == "cuda"
    assert asking == [rendered.deployment("worker")["metadata"]["name"]] * cuda


@pytest.mark.parametrize("case", CASES)
def test_lint_is_silent(case: str) -> None:
    files = [argument for name in CASES[case].files for argument in ("--values", str(CHART / name))]
    result = helm("lint", str(CHART), "--strict", "--quiet", *files, values=CASES[case].values)
    assert result.returncode == 0, result.stdout


def test_dashboards_and_rules_are_taken_from_their_folders(tmp_path: Path) -> None:
    chart = tmp_path / "freshet"
    shutil.copytree(CHART, chart)
    rules, boards = chart / "files" / "prometheus" / "rules", chart / "files" / "grafana" / "dashboards"
    rules.mkdir(exist_ok=True)
    boards.mkdir(exist_ok=True)
    (rules / "one.yaml").write_text("groups: [{name: g, rules: [{record: a, expr: '{{ $labels }}'}]}]\n")
    (boards / "one.json").write_text('{"title": "{{ model_version }}"}\n')
    result = template(Case(("values-production.yaml",)), chart)
    rendered = Rendered(result.stdout)
    (rule,) = [one for one in rendered.of("PrometheusRule") if one["metadata"]["name"].endswith("-one")]
    assert rule["spec"]["groups"][0]["rules"][0]["expr"] == "{{ $labels }}"
    (board,) = [one for one in rendered.of("ConfigMap") if "one.json" in one["data"]]
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board["data"]["one.json"].strip() == '{"title": "{{ model_version }}"}'
