"""A worker whose disk is really full, on real Kafka: it serves on, and what waits for room is not lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporters.disk_room import RESERVE, taken
from streams.codec import encode_item
from streams.kafka.local_broker import LocalKafka
from streams.settings import KafkaSettings
from tests.support.full_disk import BALLAST, fill_up, small_disk
from tests.support.releasing_shop import FIRST, ITEMS, SECOND, ReleasingShop, digest_of
from tests.support.shop import wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

USERS = [f"user-{number}" for number in range(20)]
VECTORS = "vectors"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Of the vector store alone. A tmpfs: what the engine maps takes room there when it is read, too."""
    with small_disk(tmp_path / "disk", megabytes=384) as disk:
        yield disk


@pytest.fixture
def shop(disk: Path, kafka: LocalKafka, untrained_model: Path, tmp_path: Path) -> Iterator[ReleasingShop]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix="full-disk.", group_id="full-disk"
    )
    # A minute of a full disk ends a worker: what is done in less must not end it on a busy machine.
    own = {"QDRANT__PATH": disk / VECTORS, "BATCH__OUTAGE_SECONDS": 300}
    shop = ReleasingShop(settings, untrained_model, tmp_path, **own)
    for item in ITEMS:
        shop.producer.send(*encode_item(item))
    shop.settle("items")
    yield shop
    shop.producer.close()
    assert shop.worker.stop() == 0, shop.worker.tail()


def click_all(shop: ReleasingShop) -> None:
    """One event more of each user, on an item of its own."""
    for user in USERS:
        shop.click(user, shop.sent.get(user, 0))
    shop.producer.flush()


def leave(disk: Path, free: int) -> Path:
    """So many bytes, however many were left before; what takes the others."""
    (disk / BALLAST).unlink(missing_ok=True)
    return fill_up(disk, but_for=free)


def is_refused(shop: ReleasingShop, number: int) -> bool:
    return f"release {number} refused (store), {FIRST} serves on: the disk of" in shop.worker.log.read_text()


def retries(shop: ReleasingShop) -> float:
    return shop.counted('freshet_batch_retries_total{agent="interest"}')


def applied(shop: ReleasingShop) -> dict[str, int]:
    """How many events each user's history has had."""
    return {user: shop.answer(user)["events"] for user in USERS}


def test_a_release_is_refused_and_events_wait_until_there_is_room(shop: ReleasingShop, disk: Path) -> None:
    for _ in range(2):  # a second item, too, makes evidence: its first page is taken now
        click_all(shop)
        shop.settle("clicks", "evidence")

    # For events there is room, for a version more there is not.
    leave(disk, RESERVE + taken(disk / VECTORS / f"items-{FIRST}") // 2)
    shop.freshet("models", "promote", SECOND, "--json")
    wait_for(lambda: is_refused(shop, 1), seconds=60)
    assert shop.refusals("store") >= 1
    click_all(shop)
    shop.settle("clicks")
    assert applied(shop) == dict.fromkeys(USERS, 3)
    assert shop.versions(USERS[0])[-1] == FIRST

    # For events neither: they wait, and the lists that there are go on being served.
    ballast = leave(disk, RESERVE // 2)
    second = digest_of(shop.models / SECOND)
    shop.announce(2, digest=second)
    wait_for(lambda: is_refused(shop, 2), seconds=60)
    before = retries(shop)
    click_all(shop)
    wait_for(lambda: retries(shop) > before)
    assert applied(shop) == dict.fromkeys(USERS, 3)
    assert shop.get(USERS[0])
    assert shop.serves(FIRST)

    ballast.unlink()
    shop.settle("clicks")
    assert applied(shop) == dict.fromkeys(USERS, 4)
    shop.announce(3, digest=second)
    wait_for(lambda: shop.serves(SECOND), seconds=60)
    click_all(shop)
    shop.settle("clicks")
    assert applied(shop) == dict.fromkeys(USERS, 5)
    assert shop.versions(USERS[0])[-1] == SECOND
