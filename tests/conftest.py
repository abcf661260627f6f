"""Fixtures that several parts of the suite share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.kafka_fixtures"]

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of public data sets; the test skips, and says so, where there is none."""
    candidates = [REPOSITORY.parent / "shared" / "data"]
    if "FRESHET_DATA" in os.environ:
        candidates.append(Path(os.environ["FRESHET_DATA"]))
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    pytest.skip("no public data sets: put them in ../shared/data or name their folder in FRESHET_DATA")
