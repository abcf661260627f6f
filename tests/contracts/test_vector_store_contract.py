"""The vector store's contract, held against every adapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporters.qdrant_edge import EdgeVectorStore
from exporters.qdrant_server import ServerVectorStore
from exporters.vector_store import VectorStore
from tests.contracts.evidence_contract import EvidenceContract
from tests.contracts.filter_contract import FilterContract
from tests.contracts.vector_store_contract import DurableContract, VectorStoreContract
from tests.fakes.memory_vector_store import MemoryVectorStore
from tests.qdrant_http_server.process import QdrantHttpServer, qdrant_http_server
from tests.qdrant_http_server.quick_folder import quick_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def server() -> Iterator[QdrantHttpServer]:
    with quick_folder() as folder, qdrant_http_server(folder) as server:
        yield server


class WholeContract(VectorStoreContract, FilterContract, EvidenceContract):
    """What every adapter is held to."""


class TestEdge(WholeContract, DurableContract):
    @pytest.fixture
    def store(self, folder: Path) -> Iterator[VectorStore]:
        store = EdgeVectorStore(folder)
        yield store
        store.close()

    @pytest.fixture
    def reopen(self, store: VectorStore, folder: Path) -> Iterator[VectorStore]:
        def reopened() -> Iterator[VectorStore]:
            store.close()
            again = EdgeVectorStore(folder)
            yield again
            again.close()

        return reopened()


class TestEdgeSearchedByTheEngine(WholeContract):
    """Collections too large to be searched in memory; here, every one that has a vector."""

    @pytest.fixture
    def store(self, folder: Path) -> Iterator[VectorStore]:
        store = EdgeVectorStore(folder, largest_scan=0)
        yield store
        store.close()


class TestServer(WholeContract, DurableContract):
    """Over HTTP, with the engine in another process; see ``tests/qdrant_http_server``."""

    shared = True

    @pytest.fixture
    def url(self, server: QdrantHttpServer) -> str:
        server.reset()
        return server.url

    @pytest.fixture
    def store(self, url: str) -> Iterator[VectorStore]:
        store = ServerVectorStore(url)
        yield store
        store.close()

    @pytest.fixture
    def reopen(self, store: VectorStore, url: str) -> Iterator[VectorStore]:
        def reopened() -> Iterator[VectorStore]:
            store.close()
            again = ServerVectorStore(url)
            yield again
            again.close()

        return reopened()


class TestMemory(WholeContract):
    @pytest.fixture
    def store(self) -> VectorStore:
        return MemoryVectorStore()
