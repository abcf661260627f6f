"""How the server adapter meets faults, refusals and TLS: real sockets, a server in a process of its own."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.errors import SettingsError, StoreError, StoreUnavailable
from exporters.qdrant_address import Tls
from exporters.qdrant_faults import Retries
from exporters.qdrant_server import ServerVectorStore
from exporters.vector_store import ItemFilter
from tests.contracts.vector_store_contract import NAMES, SIZES, assert_same, item, user
from tests.qdrant_http_server.process import QdrantHttpServer, qdrant_http_server
from tests.qdrant_http_server.quick_folder import quick_folder

KEY = "s3cret-k3y-never-shown"
QUICK = Retries(attempts=4, first_wait_s=0.001, longest_wait_s=0.01)
ONCE = Retries(attempts=1)
WRITES = f"/collections/{NAMES.users}/points/batch"


@pytest.fixture(scope="module")
def running() -> Iterator[QdrantHttpServer]:
    with quick_folder() as folder, qdrant_http_server(folder, "--api-key", KEY) as server:
        yield server


@pytest.fixture
def server(running: QdrantHttpServer) -> QdrantHttpServer:
    running.reset()
    return running


@pytest.fixture
def connect(server: QdrantHttpServer) -> Iterator[Callable[..., ServerVectorStore]]:
    stores: list[ServerVectorStore] = []

    def connected(api_key: str | None = KEY, **options: Any) -> ServerVectorStore:
        stores.append(ServerVectorStore(server.url, api_key, **{"retries": QUICK, **options}))
        return stores[-1]

    yield connected
    for store in stores:
        store.close()


@pytest.fixture
def store(connect: Callable[..., ServerVectorStore]) -> ServerVectorStore:
    store = connect()
    store.ensure_collections(NAMES, SIZES)
    return store


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# -- passing faults


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_refusal_that_passes_is_retried(
    server: QdrantHttpServer, store: ServerVectorStore, status: int
) -> None:
    server.fail(status=status, times=3)
    assert store.upsert_users(NAMES, [user("u")]) == []
    assert server.calls()["faults"] == 3


@pytest.mark.parametrize("kind", ["lose", "drop", "drop_after", "wait_timeout"])
def test_an_answer_that_was_lost_is_no_lost_write(
    server: QdrantHttpServer, store: ServerVectorStore, kind: str
) -> None:
    server.fail(kind=kind, times=3, path=WRITES)
    assert store.upsert_users(NAMES, [user("u", 1, token=7)]) == []
    assert server.calls()["faults"] == 3
    assert_same(store.retrieve_users(NAMES, ["u"])[0], user("u", 1, token=7))


@pytest.mark.parametrize("kind", ["refuse", "lose", "drop_after"])
def test_collections_are_made_through_faults(
    server: QdrantHttpServer, connect: Callable[..., ServerVectorStore], kind: str
) -> None:
    server.fail(0.3, kind=kind, seed=1)
    store = connect(retries=replace(QUICK, attempts=20))
    store.ensure_collections(NAMES, SIZES)
    assert store.count_users(NAMES) == 0


def test_workers_that_start_together_make_the_collections_together(
    server: QdrantHttpServer, connect: Callable[..., ServerVectorStore]
) -> None:
    stores = [connect() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda store: store.ensure_collections(NAMES, SIZES), stores))
    assert stores[0].count_items(NAMES) == 0


def test_no_increment_is_lost_though_answers_are(
    server: QdrantHttpServer, connect: Callable[..., ServerVectorStore], store: ServerVectorStore
) -> None:
    def increment(writer: int) -> None:
        mine = connect(retries=replace(QUICK, attempts=20))
        done = 0
        while done < 5:
            (stored,) = mine.retrieve_users(NAMES, ["u"])
            assert stored is not None
            token = 1000 * writer + stored.sequence
            changed = replace(
                stored, sequence=stored.sequence + 1, token=token, blob=stored.blob + bytes([writer])
            )
            done += mine.upsert_users(NAMES, [changed]) == []

    store.upsert_users(NAMES, [user("u", 1, blob=b"")])
    server.fail(0.3, kind="lose", path=WRITES, seed=2)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(increment, (1, 2, 3)))
    server.behave()
    (stored,) = store.retrieve_users(NAMES, ["u"])
    assert stored is not None
    # A write that another one had built on before its answer came back counts as lost, and is done again.
    assert all(stored.blob.count(bytes([writer])) >= 5 for writer in (1, 2, 3))
    assert len(stored.blob) == stored.sequence - 1


def test_a_fault_that_stays_ends_as_unavailable(server: QdrantHttpServer, store: ServerVectorStore) -> None:
    server.fail(status=503)
    with pytest.raises(StoreUnavailable, match=r"503.*after 4 attempts"):
        store.count_users(NAMES)
    assert server.calls()["faults"] == 4


def test_a_server_that_is_not_there_is_unavailable() -> None:
    store = ServerVectorStore(f"http://127.0.0.1:{free_port()}", retries=QUICK)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        store.ping()
    store.close()


def test_a_server_that_does_not_answer_in_time_is_unavailable(
    server: QdrantHttpServer, connect: Callable[..., ServerVectorStore]
) -> None:
    server.fail(kind="slow", delay_s=3.0)
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        connect(timeout_s=0.5, retries=ONCE).ping()


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_the_server_asks_for_is_kept(
    server: QdrantHttpServer, connect: Callable[..., ServerVectorStore], status: int
) -> None:
    waits: list[float] = []
    server.fail(status=status, retry_after="7", times=2)
    connect(retries=replace(QUICK, sleep=waits.append)).ping()
    assert waits == [7.0, 7.0]


def test_a_wait_of_hours_is_cut_short(
    server: QdrantHttpServer, connect: Callable[..., ServerVectorStore]
) -> None:
    waits: list[float] = []
    server.fail(status=429, retry_after="86400", times=1)
    connect(retries=replace(QUICK, sleep=waits.append)).ping()
    assert waits == [30.0]


def test_a_wait_until_a_date_is_retried_like_any_other_fault(
    server: QdrantHttpServer, connect: Callable[..., ServerVectorStore]
) -> None:
    server.fail(status=429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT", times=1)
    connect().ping()


def test_waits_grow_up_to_a_limit_and_never_agree(
    server: QdrantHttpServer, connect: Callable[..., ServerVectorStore]
) -> None:
    waits: list[float] = []
    server.fail(status=503)
    patient = Retries(attempts=8, first_wait_s=1.0, longest_wait_s=4.0, sleep=waits.append)
    with pytest.raises(StoreUnavailable):
        connect(retries=patient).ping()
    assert all(wait <= limit for wait, limit in zip(waits, [1, 2, 4, 4, 4, 4, 4], strict=True))
    assert len(set(waits)) == 7


def test_queries_with_different_filters_are_one_request(
    server: QdrantHttpServer, store: ServerVectorStore
) -> None:
    store.upsert_items(NAMES, [item("i", price=10.0)])
    server.behave()
    filters = [None, ItemFilter(max_price=5), ItemFilter(min_price=5)]
    found = store.nearest_items(NAMES, np.stack([item("i").vector] * 3), [3] * 3, filters)
    assert [len(hits) for hits in found] == [1, 0, 1]
    assert server.calls()[f"/collections/{NAMES.items}/points/query/batch"] == 1


# -- refusals


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_refusal_that_stays_is_not_repeated(
    server: QdrantHttpServer, store: ServerVectorStore, status: int
) -> None:
    server.fail(status=status)
    with pytest.raises(StoreError) as caught:
        store.count_users(NAMES)
    assert not isinstance(caught.value, StoreUnavailable)
    assert server.calls()["faults"] == 1


@pytest.mark.parametrize("key", [None, "wrong-key"])
def test_a_refused_key_is_named(connect: Callable[..., ServerVectorStore], key: str | None) -> None:
    with pytest.raises(StoreError, match="refused the API key: set FRESHET_QDRANT__API_KEY"):
        connect(key).ping()


def test_something_else_than_qdrant_is_recognised(server: QdrantHttpServer, store: ServerVectorStore) -> None:
    server.fail(kind="garbage")
    with pytest.raises(StoreError, match="does not speak Qdrant's protocol"):
        store.ping()


def test_a_server_without_conditional_upserts_is_refused(
    server: QdrantHttpServer, store: ServerVectorStore
) -> None:
    server.fail(0.0, version="1.15.5")
    with pytest.raises(StoreError, match=r"is 1\.15\.5: Freshet needs 1\.16 or newer"):
        store.ensure_collections(NAMES, SIZES)


def test_errors_are_one_line(server: QdrantHttpServer, store: ServerVectorStore) -> None:
    server.fail(status=400)
    with pytest.raises(StoreError) as caught:
        store.ping()
    assert "\n" not in str(caught.value)


def test_a_closed_store_says_so(connect: Callable[..., ServerVectorStore]) -> None:
    store = connect()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.ping()


# -- the key


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 503}, {"kind": "drop"}, {"kind": "garbage"}])
def test_the_key_is_in_no_error_and_no_log(
    server: QdrantHttpServer,
    connect: Callable[..., ServerVectorStore],
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.fail(**fault)
    with pytest.raises(StoreError) as caught:
        connect().ping()
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "127.0.0.1" in told
    assert KEY not in told


def test_the_key_is_in_no_repr(connect: Callable[..., ServerVectorStore]) -> None:
    store = connect()
    assert KEY not in repr(store) + repr(vars(store)) + repr(vars(store._engine))


@pytest.mark.parametrize("host", ["qdrant.example", "10.0.0.7", "127.0.0.1.example"])
def test_a_key_does_not_leave_this_machine_in_the_clear(host: str) -> None:
    with pytest.raises(SettingsError, match="in the clear") as caught:
        ServerVectorStore(f"http://{host}:6333", KEY)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://localhost:6333", False),
        ("http://[::1]:6333", False),
        ("https://qdrant.example", False),
        ("http://qdrant:6333", True),
    ],
)
def test_a_key_is_taken_where_it_is_safe_or_allowed(url: str, allowed: bool) -> None:
    ServerVectorStore(url, KEY, allow_key_over_http=allowed).close()


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "ключ"])
def test_a_key_that_no_header_can_carry_is_refused_unshown(key: str) -> None:
    with pytest.raises(SettingsError, match="printable ASCII") as caught:
        ServerVectorStore("http://127.0.0.1:6333", key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "qdrant:6333", "ftp://qdrant", "http://", "http://host:port", "http://[::1", "http://host:0"]
)
def test_a_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="must look like"):
        ServerVectorStore(url)


def test_a_password_in_the_url_is_refused_unshown() -> None:
    with pytest.raises(SettingsError, match="must not hold a password") as caught:
        ServerVectorStore(f"https://user:{KEY}@qdrant.example")
    assert KEY not in str(caught.value)


# -- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key; both PEM."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=qdrant "
        "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out certificate.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def secure(certificate: tuple[Path, Path]) -> Iterator[QdrantHttpServer]:
    options = ("--certificate", str(certificate[0]), "--key", str(certificate[1]), "--api-key", KEY)
    with quick_folder() as folder, qdrant_http_server(folder, *options, scheme="https") as server:
        yield server


def test_a_server_is_trusted_by_its_authority(
    secure: QdrantHttpServer, certificate: tuple[Path, Path]
) -> None:
    store = ServerVectorStore(secure.url, KEY, tls=Tls(ca_file=certificate[0]))
    store.ensure_collections(NAMES, SIZES)
    store.upsert_items(NAMES, [item("i")])
    assert_same(store.retrieve_items(NAMES, ["i"], with_text=True)[0], item("i"))
    store.close()


def test_a_server_that_nobody_vouches_for_is_not_trusted(secure: QdrantHttpServer) -> None:
    store = ServerVectorStore(secure.url, KEY, retries=QUICK)
    with pytest.raises(StoreError, match=r"certificate of Qdrant .* is not trusted") as caught:
        store.ping()
    store.close()
    assert not isinstance(caught.value, StoreUnavailable)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_file_that_cannot_be_used_is_a_wrong_setting(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match="a TLS file of Qdrant cannot be used"):
        ServerVectorStore("https://127.0.0.1:6333", tls=Tls(ca_file=file))
