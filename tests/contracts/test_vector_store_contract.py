"""The vector store's contract, held against every adapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporters.qdrant_edge import EdgeVectorStore
from exporters.vector_store import VectorStore
from tests.contracts.vector_store_contract import DurableContract, VectorStoreContract
from tests.fakes.memory_vector_store import MemoryVectorStore


class TestEdge(VectorStoreContract, DurableContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[VectorStore]:
        store = EdgeVectorStore(tmp_path / "vectors")
        yield store
        store.close()

    @pytest.fixture
    def reopen(self, store: VectorStore, tmp_path: Path) -> Iterator[VectorStore]:
        def reopened() -> Iterator[VectorStore]:
            store.close()
            again = EdgeVectorStore(tmp_path / "vectors")
            yield again
            again.close()

        return reopened()


class TestMemory(VectorStoreContract):
    @pytest.fixture
    def store(self) -> VectorStore:
        return MemoryVectorStore()
