"""Values that contradict each other, or are none, fail at render time with a sentence."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from streams.settings import Settings, TrainerSettings
from tests.deploy.chart import CASES, CHART, MINIMAL, Case, Rendered, template

SASL = {"securityProtocol": "SASL_SSL", "sasl": {"username": "u", "existingSecret": "s"}}
VOLUME = {"uri": "", "volume": {"enabled": True}}
SERVER = {"url": "https://qdrant:6333"}


def over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``changes`` merged into a copy of ``base``."""
    merged = copy.deepcopy(dict(base))
    for key, value in changes.items():
        merged[key] = over(merged.get(key, {}), value) if isinstance(value, Mapping) else value
    return merged


def complaint(changes: Mapping[str, Any]) -> str:
    """What helm says of the minimal values with these changes; fails where it renders them."""
    result = template(Case(values=over(MINIMAL, changes)))
    assert result.returncode != 0, result.stdout
    return result.stderr


CONTRADICTIONS = {
    "no image": ({"image": {"repository": ""}}, "image.repository is empty"),
    "no broker": ({"kafka": {"bootstrapServers": ""}}, "kafka.bootstrapServers is empty"),
    "no model": ({"model": {"uri": ""}}, "there is no model"),
    "two models": (
        {"model": {"volume": {"enabled": True}}},
        "model.uri and model.volume.enabled are both set",
    ),
    "digest of nothing": ({"model": VOLUME | {"digest": "0" * 64}}, "model.digest is set without model.uri"),
    "claim unused": ({"model": {"volume": {"existingClaim": "c"}}}, "model.volume.enabled is false"),
    "volume of one node": (
        {
            "model": {"uri": "", "volume": {"enabled": True, "accessMode": "ReadWriteOnce"}},
            "trainer": {"enabled": True},
        },
        "model.volume.accessMode is ReadWriteOnce and 2 pods mount the volume",
    ),
    "workers share an engine": (
        {"worker": {"replicas": 2}},
        "more than one worker (worker.replicas) needs qdrant.url",
    ),
    "scaled engine": (
        {"worker": {"autoscaling": {"enabled": True}}},
        "more than one worker (worker.autoscaling.enabled) needs qdrant.url",
    ),
    "idle workers": (
        {"worker": {"replicas": 5}, "qdrant": SERVER},
        "worker.replicas is 5 and kafka.partitions 4: a worker without a partition never becomes ready",
    ),
    "scaled beyond partitions": (
        {"worker": {"autoscaling": {"enabled": True, "maxReplicas": 9}}, "qdrant": SERVER},
        "worker.autoscaling.maxReplicas is 9 and kafka.partitions 4",
    ),
    "more than the most": (
        {"worker": {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 2}}, "qdrant": SERVER},
        "worker.autoscaling.minReplicas is 3 and the most are 2",
    ),
    "scaler without a password": (
        {"kafka": SASL, "qdrant": SERVER, "worker": {"autoscaling": {"enabled": True}}},
        "name a KEDA TriggerAuthentication in worker.autoscaling.authenticationRef",
    ),
    "no password": (
        {"kafka": {"securityProtocol": "SASL_SSL"}},
        "needs kafka.sasl.username and kafka.sasl.existing",
    ),
    "unused password": ({"kafka": {"sasl": {"username": "u"}}}, "is PLAINTEXT, which asks for no password"),
    "unused authority": ({"kafka": {"caSecret": "ca"}}, "kafka.securityProtocol PLAINTEXT does not encrypt"),
    "unused authority beside a password": (
        {"kafka": SASL | {"securityProtocol": "SASL_PLAINTEXT", "caSecret": "ca"}},
        "kafka.securityProtocol SASL_PLAINTEXT does not encrypt",
    ),
    "strimzi of no cluster": ({"topics": {"createdBy": "strimzi"}}, "needs topics.strimzi.cluster"),
    "unused topics": (
        {"topics": {"strimzi": {"config": {"clicks": {"retention.ms": "1"}}}}},
        "topics.createdBy is worker, which would ignore it",
    ),
    "unknown topic": (
        {"topics": {"createdBy": "strimzi", "strimzi": {"cluster": "c", "config": {"views": {"a": "b"}}}}},
        "names views, which is no topic of Freshet: there are clicks, dead-letters,",
    ),
    "key of no server": (
        {"qdrant": {"existingSecret": "s"}},
        "the engine inside the worker asks for neither",
    ),
    "key in the clear": (
        {"qdrant": {"url": "http://qdrant:6333", "existingSecret": "s"}},
        "the key would travel in the clear",
    ),
    "authority in the clear": (
        {"qdrant": {"url": "http://qdrant:6333", "caSecret": "s"}},
        "qdrant.url is http://, which checks no certificate",
    ),
    "disk of a server": (
        {"qdrant": SERVER | {"storage": {"existingClaim": "c"}}},
        "qdrant.storage.existingClaim is set and so is qdrant.url",
    ),
    "trainer without a folder": (
        {"trainer": {"enabled": True}},
        "trainer.enabled needs model.volume.enabled",
    ),
    "trainer without room": (
        {"model": VOLUME, "trainer": {"enabled": True, "resources": {"limits": {"memory": "8Gi"}}}},
        f"memory is 8Gi and settings.trainer.max_memory_mb {TrainerSettings().max_memory_mb}",
    ),
    "trainer without its own room": (
        {"model": VOLUME, "trainer": {"enabled": True}, "settings": {"trainer": {"max_memory_mb": 20_000}}},
        "memory is 10Gi and settings.trainer.max_memory_mb 20000",
    ),
    "nobody may scrape": (
        {"monitoring": {"podMonitor": {"enabled": True}}},
        "networkPolicy.monitoring lets it nowhere",
    ),
    "two tags": (
        {"image": {"digest": "sha256:" + "0" * 64}, "worker": {"gpu": {"tag": "x"}}},
        "image.digest and worker.gpu.tag both name the worker's image",
    ),
    "annotated stranger": (
        {"serviceAccount": {"create": False, "annotations": {"a": "b"}}},
        "serviceAccount.annotations need serviceAccount.create",
    ),
    "scaler of no metric": (
        {"worker": {"autoscaling": {"enabled": True, "by": "hpa"}}, "qdrant": SERVER},
        "by hpa needs worker.autoscaling.externalMetric.name",
    ),
    "metric of another scaler": (
        {
            "worker": {"autoscaling": {"enabled": True, "externalMetric": {"name": "lag"}}},
            "qdrant": SERVER,
        },
        "externalMetric is set and worker.autoscaling.by is keda",
    ),
    "password of another scaler": (
        {
            "worker": {
                "autoscaling": {
                    "enabled": True,
                    "by": "hpa",
                    "externalMetric": {"name": "lag"},
                    "authenticationRef": "a",
                }
            },
            "qdrant": SERVER,
        },
        "authenticationRef is set and worker.autoscaling.by is hpa",
    ),
    "two monitors": (
        {"monitoring": {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}},
        "would both scrape every pod",
    ),
    "nobody may scrape services": (
        {"monitoring": {"serviceMonitor": {"enabled": True}}},
        "networkPolicy.monitoring lets it nowhere",
    ),
    "visitors of no playground": (
        {"networkPolicy": {"ui": [{"podSelector": {}}]}},
        "networkPolicy.ui is set and ui.enabled is false",
    ),
    "password of no registry": (
        {"schemaRegistry": {"username": "u", "existingSecret": "s"}},
        "is set without schemaRegistry.url",
    ),
    "user without a password": (
        {"schemaRegistry": {"url": "https://r:8081", "username": "u"}},
        "schemaRegistry.username and schemaRegistry.existingSecret go together",
    ),
    "registry's password in the clear": (
        {"schemaRegistry": {"url": "http://r:8081", "username": "u", "existingSecret": "s"}},
        "schemaRegistry.url is http:// and schemaRegistry.existingSecret is set",
    ),
    "registry's authority in the clear": (
        {"schemaRegistry": {"url": "http://r:8081", "caSecret": "s"}},
        "schemaRegistry.url is http://, which checks no certificate",
    ),
    "Avro without a registry": (
        {"settings": {"codec": {"format": "avro"}}},
        "settings.codec.format is avro and schemaRegistry.url is empty",
    ),
    "two brokers": ({"demo": {"kafka": True}}, "demo.kafka and kafka.bootstrapServers are both set"),
    "demo with copies": (
        {"demo": {"kafka": True}, "kafka": {"bootstrapServers": "", "replicationFactor": 3}},
        "demo.kafka is one broker without a password",
    ),
    "two servers": ({"demo": {"qdrant": True}, "qdrant": SERVER}, "demo.qdrant is set and so is qdrant.url"),
    "demo's and another model": ({"demo": {"model": True}}, "demo.model and model.uri"),
    "a model in each worker": (
        {"demo": {"model": True}, "model": {"uri": ""}, "qdrant": SERVER, "worker": {"replicas": 2}},
        "demo.model makes a model in each worker",
    ),
    "registry's password in the settings": (
        {"settings": {"codec": {"registry_password": "x"}}},
        "name that in schemaRegistry.existingSecret",
    ),
    "password in the settings": (
        {"settings": {"kafka": {"sasl_password": "x"}}},
        "settings.kafka.sasl_password is a secret, and settings become a ConfigMap",
    ),
    "key in the settings": (
        {"settings": {"qdrant": {"api_key": "x"}}},
        "put it into a Secret and name that in qdrant.existingSecret",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradiction_fails_with_its_sentence(name: str) -> None:
    changes, sentence = CONTRADICTIONS[name]
    assert sentence in complaint(changes)


def test_all_contradictions_are_told_at_once() -> None:
    said = complaint({"image": {"repository": ""}, "kafka": {"bootstrapServers": ""}, "model": {"uri": ""}})
    assert said.count("\n  - ") == 3


def _chosen_by_the_chart() -> Iterator[tuple[str, str]]:
    """(section, setting) of all that the chart writes into the file by itself, in any case."""
    for case in CASES.values():
        rendered = Rendered(template(Case(case.files, over(case.values, {"settings": None}))).stdout)
        for section, values in rendered.settings().items():
            yield from ((section, name) for name in values)


def test_settings_that_the_chart_writes_cannot_be_written_twice() -> None:
    chosen = set(_chosen_by_the_chart())
    settings: dict[str, dict[str, Any]] = {}
    for section, name in chosen:
        settings.setdefault(section, {})[name] = "x"
    said = complaint({"settings": settings})
    assert not [one for one in chosen if f"settings.{'.'.join(one)} is set by the chart" not in said]


UNKNOWN = {
    "at the top": ({"replicas": 2}, "additional properties 'replicas' not allowed"),
    "inside": ({"worker": {"replica": 2}}, "additional properties 'replica' not allowed"),
    "of the settings": ({"settings": {"recommendation": {"k": 5}}}, "'recommendations'"),
    "type": ({"worker": {"replicas": "two"}}, "at '/worker/replicas': got string, want integer"),
    "tag": ({"image": {"tag": "latest"}}, "at '/image/tag'"),
    "brokers without a port": ({"kafka": {"bootstrapServers": "kafka"}}, "at '/kafka/bootstrapServers'"),
    "password in a URL": ({"qdrant": {"url": "https://me:secret@qdrant:6333"}}, "at '/qdrant/url'"),
    "password in the registry's URL": (
        {"schemaRegistry": {"url": "https://me:secret@registry"}},
        "at '/schemaRegistry/url'",
    ),
    "another scaler": ({"worker": {"autoscaling": {"by": "cron"}}}, "at '/worker/autoscaling/by'"),
    "demo's newest image": ({"demo": {"kafkaImage": "apache/kafka:latest"}}, "at '/demo/kafkaImage'"),
    "folder for a URI": ({"model": {"uri": "/models"}}, "at '/model/uri'"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_values_that_are_none_are_refused_by_the_schema(name: str) -> None:
    changes, place = UNKNOWN[name]
    said = complaint(changes)
    assert "don't meet the specifications of the schema" in said
    assert place in said


def test_schema_knows_the_sections_of_the_settings() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    sections = schema["properties"]["settings"]["propertyNames"]["enum"]
    assert set(sections) == set(Settings.model_fields)


def test_schema_refuses_unknown_names_everywhere() -> None:
    def open_objects(schema: dict[str, Any], path: str) -> Iterator[str]:
        for name, child in schema.get("properties", {}).items():
            if "properties" in child and child.get("additionalProperties") is True:
                yield f"{path}/{name}"
            yield from open_objects(child, f"{path}/{name}")

    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["additionalProperties"] is False
    assert not list(open_objects(schema, ""))
