"""The chart's topics are those of the code, and Strimzi gets all of them."""

from __future__ import annotations

import yaml

from streams.kafka.topics import TOPICS
from tests.deploy.chart import CASES, CHART, Rendered, template

PRODUCTION = yaml.safe_load((CHART / "values-production.yaml").read_text())


def test_topics_of_the_chart_are_those_of_the_code() -> None:
    assert yaml.safe_load((CHART / "files" / "topics.yaml").read_text()) == TOPICS


def test_strimzi_is_asked_for_every_topic_with_its_configuration() -> None:
    rendered = Rendered(template(CASES["production"]).stdout)
    kafka, strimzi = PRODUCTION["kafka"], PRODUCTION["topics"]["strimzi"]
    asked = {one["spec"]["topicName"]: one["spec"] for one in rendered.of("KafkaTopic")}
    assert asked == {
        kafka["topicPrefix"] + topic: {
            "topicName": kafka["topicPrefix"] + topic,
            "partitions": kafka["partitions"],
            "replicas": kafka["replicationFactor"],
            "config": config | strimzi["config"].get(topic, {}),
        }
        for topic, config in TOPICS.items()
    }


def test_strimzi_finds_its_topics_and_keeps_them() -> None:
    rendered = Rendered(template(CASES["production"]).stdout)
    for topic in rendered.of("KafkaTopic"):
        metadata = topic["metadata"]
        assert topic["apiVersion"] == "kafka.strimzi.io/v1"
        assert metadata["labels"]["strimzi.io/cluster"] == PRODUCTION["topics"]["strimzi"]["cluster"]
        assert metadata["annotations"]["helm.sh/resource-policy"] == "keep"


def test_topics_in_strimzis_namespace_are_named_by_that_of_the_release() -> None:
    """Else a release of the same name in another namespace could not be installed."""
    rendered = Rendered(template(CASES["production"]).stdout)
    topics = {topic["metadata"]["name"] for topic in rendered.of("KafkaTopic")}
    assert topics == {f"shop-shop-freshet-{topic}" for topic in TOPICS}


def test_either_the_worker_creates_topics_or_somebody_else(rendered: Rendered) -> None:
    assert not (rendered.settings()["kafka"]["create_topics"] and rendered.of("KafkaTopic"))
