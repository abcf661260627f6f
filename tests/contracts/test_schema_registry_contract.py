"""The schema registry's contract: held against the fake of the suite and, with FRESHET_SLOW=1, a real one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.contracts.schema_registry_contract import SchemaRegistryContract
from tests.support.apicurio import apicurio
from tests.support.schema_registry import FakeRegistry


class TestFake(SchemaRegistryContract):
    @pytest.fixture
    def url(self) -> Iterator[str]:
        with FakeRegistry() as fake:
            yield fake.url


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with apicurio(tmp_path_factory.mktemp("apicurio") / "log") as url:
        yield url


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif("FRESHET_SLOW" not in os.environ, reason="fetches 142 MB once: set FRESHET_SLOW=1")
class TestApicurio(SchemaRegistryContract):
    @pytest.fixture
    def url(self, real: str) -> str:
        return real
