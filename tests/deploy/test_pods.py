"""What every pod of the chart must be, whatever the values: locked down, probed, bounded, and able to run."""

from __future__ import annotations

import re

from tests.deploy.chart import Rendered

DEMO = ("kafka", "qdrant")
SECRET = re.compile(r"PASSWORD|API_KEY|TOKEN|SECRET(?!S_DIR)")


def test_containers_have_no_privileges_and_a_read_only_root(rendered: Rendered) -> None:
    for container in rendered.containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            # What Kafka's and Qdrant's images write beside their volumes is theirs.
            **({} if container["name"] in DEMO else {"readOnlyRootFilesystem": True}),
        }


def test_pods_run_as_nobody_with_seccomp_and_without_a_token(rendered: Rendered) -> None:
    for _, spec in rendered.pods():
        security = spec["securityContext"]
        assert security["runAsNonRoot"]
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False


def test_images_have_an_exact_tag_or_digest(rendered: Rendered) -> None:
    for container in rendered.containers():
        assert re.fullmatch(r"[^:@]+(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})", container["image"])


def test_containers_have_requests_and_a_bound_of_memory(rendered: Rendered) -> None:
    for container in rendered.containers():
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]


def test_workers_are_probed_at_start_for_life_and_for_readiness(rendered: Rendered) -> None:
    (worker,) = rendered.deployment("worker")["spec"]["template"]["spec"]["containers"]
    paths = {kind: worker[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}


def test_probes_ask_a_port_that_the_settings_open(rendered: Rendered) -> None:
    settings = rendered.settings()
    ports = {"worker": settings["http"], "trainer": settings["trainer"], "ui": settings.get("ui")}
    for deployment in rendered.own():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        (port,) = container["ports"]
        assert port["containerPort"] == ports[container["name"]]["port"]
        assert ports[container["name"]]["host"] == "0.0.0.0"
        for kind in ("liveness", "readiness"):
            assert container[f"{kind}Probe"]["httpGet"]["port"] == port["name"]


def test_no_secret_is_an_environment_variable_or_a_setting(rendered: Rendered) -> None:
    for container in rendered.containers():
        names = [variable["name"] for variable in container.get("env", []) if "value" in variable]
        assert not [name for name in names if SECRET.search(name)]
    assert not re.search("sasl_password|api_key", rendered.toml())


def test_mounts_are_of_volumes_that_the_pod_has(rendered: Rendered) -> None:
    for _, spec in rendered.pods():
        volumes = {volume["name"] for volume in spec["volumes"]}
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes


def test_folders_that_are_written_are_volumes_that_can_be(rendered: Rendered) -> None:
    settings = rendered.settings()
    written = {"worker": [settings["model"]["cache"]], "trainer": [settings["trainer"]["models"]], "ui": []}
    if "url" not in settings["qdrant"]:
        written["worker"].append(settings["qdrant"]["path"])
    for deployment in rendered.own():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        mounts = container["volumeMounts"]
        writable = {mount["mountPath"] for mount in mounts if not mount.get("readOnly")}
        assert {"/tmp", *written[container["name"]]} <= writable


def test_files_that_the_settings_name_are_mounted(rendered: Rendered) -> None:
    settings = rendered.settings()
    files = [
        settings[section][name]
        for section, names in {
            "kafka": ("ssl_cafile", "ssl_certfile", "ssl_keyfile"),
            "qdrant": ("ca_file",),
            "codec": ("registry_ca_file",),
        }.items()
        for name in names
        if name in settings.get(section, {})
    ]
    spec = rendered.deployment("worker")["spec"]["template"]["spec"]
    mounts = {mount["mountPath"]: mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    for file in files:
        folder, _, name = file.rpartition("/")
        assert name in {item["path"] for item in volumes[mounts[folder]]["secret"]["items"]}


def test_models_come_from_the_volume_or_are_fetched_before_the_worker_starts(rendered: Rendered) -> None:
    spec = rendered.deployment("worker")["spec"]["template"]["spec"]
    (models,) = [volume for volume in spec["volumes"] if volume["name"] == "models"]
    fetches = [container["args"][:2] for container in spec.get("initContainers", [])]
    assert ("emptyDir" in models) == (fetches in ([["model", "fetch"]], [["model", "init"]]))


def test_changed_settings_replace_the_pods(rendered: Rendered) -> None:
    for deployment in rendered.own():
        assert "checksum/config" in deployment["spec"]["template"]["metadata"]["annotations"]


def test_the_playground_asks_the_service_of_the_workers(rendered: Rendered) -> None:
    if "ui" not in rendered.settings():
        return
    (service,) = [one for one in rendered.of("Service") if one["spec"]["ports"][0]["name"] == "http"]
    port = service["spec"]["ports"][0]["port"]
    assert rendered.settings()["ui"]["worker_url"] == f"http://{service['metadata']['name']}:{port}"


def test_the_playground_sees_the_reports_of_a_trainer(rendered: Rendered) -> None:
    names = [one["metadata"]["labels"]["app.kubernetes.io/component"] for one in rendered.own()]
    if "ui" not in names:
        return
    (container,) = rendered.deployment("ui")["spec"]["template"]["spec"]["containers"]
    mounts = {mount["mountPath"]: mount.get("readOnly") for mount in container["volumeMounts"]}
    assert mounts.get(rendered.settings()["trainer"]["models"]) == (True if "trainer" in names else None)
