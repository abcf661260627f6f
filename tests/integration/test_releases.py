"""A running worker changes its model on real Kafka and the in-process engine, while events come."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from streams.codec import encode_item
from streams.kafka.local_broker import LocalKafka
from streams.messages import ModelAt, ModelRelease
from streams.releases.topic import publish, read_releases
from streams.settings import KafkaSettings
from tests.support.releasing_shop import FIRST, ITEMS, SECOND, ReleasingShop, digest_of, version_of
from tests.support.shop import wait_for
from tests.support.workers import RunningWorker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

THIRD = "20261104-dddddddd"


@pytest.fixture(scope="module")
def shop(
    kafka: LocalKafka, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReleasingShop]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix="releases.", group_id="releases"
    )
    shop = ReleasingShop(settings, untrained_model, tmp_path_factory.mktemp("releases"))
    for item in ITEMS:
        shop.producer.send(*encode_item(item))
    shop.settle("items")
    yield shop
    shop.producer.close()
    shop.worker.stop()


def test_a_released_version_takes_over_while_events_come(shop: ReleasingShop) -> None:
    for number in range(20):
        shop.click(f"user-{number}", number)
    shop.settle("clicks")
    assert shop.freshet("models", "list", "--json")["release"] is None
    released = shop.freshet("models", "promote", SECOND, "--json")
    assert (released["champion"]["version"], released["lineage"]) == (SECOND, [FIRST])
    shop.click_until_it_serves(SECOND)
    for number in range(20):
        shop.click(f"user-{number}", (number + 7) % 200)
    shop.settle("clicks")
    assert {shop.versions(f"user-{number}")[-1] for number in range(20)} == {SECOND}
    assert f"freshet_known_items {len(ITEMS)}.0" in shop.worker.metrics()
    applied = shop.worker.metrics()
    assert f'freshet_events_total{{outcome="applied",topic="clicks"}} {sum(shop.sent.values())}.0' in applied


def test_users_keep_their_histories(shop: ReleasingShop) -> None:
    for number in range(3):
        assert answered_events(shop, f"user-{number}") == shop.sent[f"user-{number}"]


def answered_events(shop: ReleasingShop, user: str) -> int:
    return int(shop.answer(user)["events"])


def test_a_rollback_takes_effect_within_seconds(shop: ReleasingShop) -> None:
    released = shop.freshet("models", "rollback", "--json")
    assert (released["champion"]["version"], released["number"]) == (FIRST, 2)
    wait_for(lambda: shop.serves(FIRST))
    shop.click("user-1", 50)
    shop.settle("clicks")
    assert shop.versions("user-1")[-1] == FIRST
    assert answered_events(shop, "user-1") == shop.sent["user-1"]


@pytest.fixture(scope="module")
def small(shop: ReleasingShop) -> Path:
    """The version that serves, distilled to half of its dimensions."""
    from exporters.distilled_model import distill

    texts = [item.text for item in ITEMS]
    return distill(shop.models / FIRST, texts, shop.models, dim=64, steps=5, least_overlap=0.0)


def test_a_distilled_version_takes_over_and_users_go_on_from_their_histories(
    shop: ReleasingShop, small: Path
) -> None:
    before = shop.counted("freshet_reencoded_users_total")
    shop.freshet("models", "promote", small.name, "--json")
    shop.click_until_it_serves(small.name)
    for number in range(20):
        shop.click(f"user-{number}", (number + 3) % 200)
    shop.settle("clicks")
    assert {shop.versions(f"user-{number}")[-1] for number in range(20)} == {small.name}
    metrics = shop.worker.metrics()
    assert f'freshet_model_info{{dim="64",model_version="{small.name}",role="champion"}} 1.0' in metrics
    assert f"freshet_known_items {len(ITEMS)}.0" in metrics
    # Some came again before the swap, too.
    assert shop.counted("freshet_reencoded_users_total") >= before + 20
    assert answered_events(shop, "user-1") == shop.sent["user-1"]


def test_a_rollback_leads_back_to_the_larger_version(shop: ReleasingShop, small: Path) -> None:
    shop.freshet("models", "rollback", "--json")
    wait_for(lambda: shop.serves(FIRST))
    shop.click("user-1", 60)
    shop.settle("clicks")
    assert shop.versions("user-1")[-2:] == [small.name, FIRST]
    assert answered_events(shop, "user-1") == shop.sent["user-1"]


def other_tower(shop: ReleasingShop) -> dict[str, Any]:
    return shop.damaged("tower", text_digest="1" * 64)


def leaving_path(shop: ReleasingShop) -> dict[str, Any]:
    return shop.damaged("path", files={"../weights": {"sha256": "0" * 64, "bytes": 1}})


def truncated_graph(shop: ReleasingShop) -> dict[str, Any]:
    """With a manifest that knows of it."""
    return shop.damaged("truncated", {"item.onnx": (shop.models / SECOND / "item.onnx").read_bytes()[:500]})


def malicious_graph(shop: ReleasingShop) -> dict[str, Any]:
    return shop.damaged("malicious", {"item.onnx": reading_graph("/etc/hostname")})


BAD = {
    "text_tower": other_tower,
    "path": leaving_path,
    "graph": truncated_graph,
    "graph, malicious": malicious_graph,
    "digest": lambda shop: {"digest": "0" * 64},
    "unreadable": lambda shop: {"uri": "/nowhere/at/all"},
    "manifest": lambda shop: {"version": "20261103-cccccccc", "digest": digest_of(shop.models / SECOND)},
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_release_is_refused_with_a_reason_and_the_model_serves_on(
    shop: ReleasingShop, name: str
) -> None:
    champion = BAD[name](shop)
    before = shop.refusals(name.partition(",")[0])
    shop.announce(shop.number() + 1, **champion)
    wait_for(lambda: shop.refusals(name.partition(",")[0]) == before + 1)
    shop.click("user-2", 9)
    shop.settle("clicks")
    assert shop.versions("user-2")[-1] == FIRST


def test_a_release_with_an_older_number_is_refused(shop: ReleasingShop) -> None:
    shop.announce(1, digest=digest_of(shop.models / SECOND))
    wait_for(lambda: shop.refusals("number"))
    assert shop.serves(FIRST)


def test_a_worker_killed_in_the_middle_of_a_swap_completes_it(shop: ReleasingShop) -> None:
    third = version_of(shop.models / FIRST, shop.models, THIRD)
    shop.announce(shop.number() + 1, version=THIRD, uri=str(third), digest=digest_of(third))
    wait_for(lambda: (shop.folder / "vectors" / f"users-{THIRD}").exists())
    shop.worker.stop(signal.SIGKILL)
    for number in range(20):
        shop.click(f"user-{number}", (number + 11) % 200)
    shop.worker = RunningWorker(shop.folder / "worker.log", **shop.environment).wait_ready()
    shop.settle("clicks")
    assert shop.serves(THIRD)
    assert f"freshet_known_items {len(ITEMS)}.0" in shop.worker.metrics()
    for number in range(3):
        user = f"user-{number}"
        assert shop.versions(user)[-1] == THIRD
        assert answered_events(shop, user) == shop.sent[user]


def test_two_who_release_at_once_get_numbers_of_their_own(shop: ReleasingShop) -> None:
    def releasing(version: str) -> ModelRelease:
        at = ModelAt(version=version, uri="nowhere", digest="0" * 64)
        return publish(
            shop.settings,
            "another-model",
            lambda now: ModelRelease(model="another-model", number=1, champion=at, released_at=1),
        )

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(releasing, ("v1", "v2")))
    assert len({one.number for one in made}) == 2
    assert read_releases(shop.settings)["another-model"] == max(made, key=lambda one: one.number)


def reading_graph(place: str) -> bytes:
    """A graph whose weights are said to lie in another file."""
    import onnx

    tensor = onnx.TensorProto(
        name="w", data_type=onnx.TensorProto.FLOAT, dims=[4], data_location=onnx.TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value=place)
    shape = [onnx.helper.make_tensor_value_info(name, 1, [4]) for name in ("x", "y")]
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([node], "g", shape[:1], shape[1:], [tensor])
    return onnx.helper.make_model(graph).SerializeToString()
