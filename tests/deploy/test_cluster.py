"""How the parts of the chart find each other: labels, selectors, ports, names, numbers of workers."""

from __future__ import annotations

import ast
import importlib
import shutil
from pathlib import Path

import pytest

from tests.deploy.chart import CASES, CHART, Case, Rendered, helm, is_demo, template

LABEL = 63
METERED = {"worker", "trainer"}


def _matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def _labels(rendered: Rendered, component: str) -> dict[str, str]:
    labels: dict[str, str] = rendered.deployment(component)["spec"]["template"]["metadata"]["labels"]
    return labels


def _components(rendered: Rendered) -> set[str]:
    return {one["metadata"]["labels"]["app.kubernetes.io/component"] for one in rendered.of("Deployment")}


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


def test_services_and_budget_choose_one_workload_and_nothing_else(rendered: Rendered) -> None:
    for manifest in (*rendered.of("Service"), *rendered.of("PodDisruptionBudget")):
        selector = manifest["spec"]["selector"]
        chosen = [
            metadata["labels"]["app.kubernetes.io/component"]
            for metadata, _ in rendered.pods()
            if _matches(selector.get("matchLabels", selector), metadata["labels"])
        ]
        assert chosen == [manifest["metadata"]["labels"]["app.kubernetes.io/component"]]


def test_services_lead_to_a_port_that_is_open(rendered: Rendered) -> None:
    for service in rendered.of("Service"):
        component = service["metadata"]["labels"]["app.kubernetes.io/component"]
        (container,) = rendered.deployment(component)["spec"]["template"]["spec"]["containers"]
        (port,) = service["spec"]["ports"]
        assert port["targetPort"] in [one["name"] for one in container["ports"]]


def test_policies_choose_one_workload_each_and_let_its_own_port_in(rendered: Rendered) -> None:
    ports = {"worker": 8080, "trainer": 8081, "ui": 8090, "demo-kafka": 9092, "demo-qdrant": 6333}
    for policy in rendered.of("NetworkPolicy"):
        component = policy["metadata"]["labels"]["app.kubernetes.io/component"]
        assert _matches(policy["spec"]["podSelector"]["matchLabels"], _labels(rendered, component))
        let_in = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
        assert set(let_in) <= {ports[component]}


def test_policies_let_out_to_dns_kafka_and_qdrant(rendered: Rendered) -> None:
    settings = rendered.settings()
    wanted = {53} | {int(one.rpartition(":")[2]) for one in settings["kafka"]["bootstrap_servers"].split(",")}
    wanted |= {8081} if "registry_url" in settings.get("codec", {}) else set()
    for policy in rendered.of("NetworkPolicy"):
        if is_demo(policy):
            assert policy["spec"]["egress"] == []
            continue
        component = policy["metadata"]["labels"]["app.kubernetes.io/component"]
        open_ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        stores = {6333} if component == "worker" and "url" in settings["qdrant"] else set()
        workers = {8080} if component == "ui" else set()
        assert wanted | stores | workers <= open_ports


def test_nobody_else_reaches_the_playground_unless_named() -> None:
    closed = Rendered(template(CASES["demo"]).stdout)
    (policy,) = [one for one in closed.of("NetworkPolicy") if one["metadata"]["name"].endswith("-ui")]
    assert policy["spec"]["ingress"] == []


def test_the_test_pod_may_ask_the_worker(rendered: Rendered) -> None:
    (test,) = rendered.of("Pod")
    for policy in rendered.of("NetworkPolicy"):
        if policy["metadata"]["labels"]["app.kubernetes.io/component"] == "worker":
            (rule,) = policy["spec"]["ingress"]
            assert _matches(rule["from"][0]["podSelector"]["matchLabels"], test["metadata"]["labels"])


def test_monitors_choose_every_workload_and_name_its_port(rendered: Rendered) -> None:
    for monitor in rendered.of("PodMonitor"):
        scraped = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
        selector = monitor["spec"]["selector"]
        (components,) = [one["values"] for one in selector["matchExpressions"]]
        for component in METERED & _components(rendered):
            pod = rendered.deployment(component)["spec"]["template"]
            assert _matches(selector["matchLabels"], pod["metadata"]["labels"])
            assert component in components
            assert pod["spec"]["containers"][0]["ports"][0]["name"] in scraped


def test_service_monitors_choose_a_service_for_every_workload(rendered: Rendered) -> None:
    for monitor in rendered.of("ServiceMonitor"):
        (endpoint,) = monitor["spec"]["endpoints"]
        chosen = {
            one["metadata"]["labels"]["app.kubernetes.io/component"]
            for one in rendered.of("Service")
            if _matches(monitor["spec"]["selector"]["matchLabels"], one["metadata"]["labels"])
            and one["spec"]["ports"][0]["name"] == endpoint["port"]
            and one["spec"]["publishNotReadyAddresses"]
        }
        assert chosen == METERED & _components(rendered)


def test_there_are_never_more_workers_than_partitions(rendered: Rendered) -> None:
    partitions = rendered.settings()["kafka"]["partitions"]
    most = [one["spec"]["maxReplicaCount"] for one in rendered.of("ScaledObject")]
    most += [one["spec"]["maxReplicas"] for one in rendered.of("HorizontalPodAutoscaler")]
    most = most or [rendered.deployment("worker")["spec"]["replicas"]]
    assert most[0] <= partitions


def test_a_scaler_alone_decides_the_number_and_goes_down_slowly(rendered: Rendered) -> None:
    for scaler in (*rendered.of("ScaledObject"), *rendered.of("HorizontalPodAutoscaler")):
        worker = rendered.deployment("worker")
        assert scaler["spec"]["scaleTargetRef"]["name"] == worker["metadata"]["name"]
        assert "replicas" not in worker["spec"]
        advanced = scaler["spec"].get("advanced", {}).get("horizontalPodAutoscalerConfig", scaler["spec"])
        behavior = advanced["behavior"]
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


def test_a_plain_scaler_follows_the_metric_that_is_named(rendered: Rendered) -> None:
    for scaler in rendered.of("HorizontalPodAutoscaler"):
        (metric,) = scaler["spec"]["metrics"]
        assert metric["external"] == {
            "metric": {"name": "freshet_lag", "selector": {"matchLabels": {"group": "freshet"}}},
            "target": {"type": "AverageValue", "averageValue": "2000"},
        }


def test_a_demo_says_what_it_is(rendered: Rendered) -> None:
    for deployment in [one for one in rendered.of("Deployment") if is_demo(one)]:
        assert "not for production" in deployment["metadata"]["annotations"]["freshet/purpose"]


def test_a_demo_s_parts_are_where_the_settings_look() -> None:
    rendered = Rendered(template(CASES["demo"]).stdout)
    ports = {
        f"{one['metadata']['name']}:{one['spec']['ports'][0]['port']}"
        for one in rendered.of("Service")
        if is_demo(one)
    }
    settings = rendered.settings()
    named = {settings["kafka"]["bootstrap_servers"], settings["qdrant"]["url"].removeprefix("http://")}
    assert named == ports


def test_a_demo_s_items_are_sent_by_a_program_that_runs() -> None:
    (job,) = Rendered(template(CASES["demo"]).stdout).of("Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    program = ast.parse(container["command"][2])
    for one in ast.walk(program):
        if isinstance(one, ast.ImportFrom) and one.module:
            module = importlib.import_module(one.module)
            assert [name for name in one.names if not hasattr(module, name.name)] == []


def test_a_rollout_never_starts_a_worker_beyond_those_that_may_run(rendered: Rendered) -> None:
    spec = rendered.deployment("worker")["spec"]
    if "url" in rendered.settings()["qdrant"] and spec.get("replicas") != 1:
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    else:
        # `helm --wait` would take maxUnavailable of one worker for none to wait for.
        assert spec["strategy"] == {"type": "Recreate"}


def test_claims_outlive_the_release(rendered: Rendered) -> None:
    for claim in rendered.of("PersistentVolumeClaim"):
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_gpus_are_asked_for_by_workers_alone(rendered: Rendered) -> None:
    limits = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        for one in rendered.own()
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
