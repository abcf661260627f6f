"""Fixtures that several parts of the suite share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# The same examples in every run, and no time limit on one: the machine may be busy.
hypothesis.settings.register_profile("freshet", deadline=None, derandomize=True)
hypothesis.settings.load_profile("freshet")

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


@pytest.fixture(scope="session")
def untrained_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model version made from 200 simulated items, with the real text tower; the path of its folder."""
    from encoders.config import ModelConfig
    from exporters.model_factory import make_untrained
    from streams.demo.catalogue import make_catalogue

    return make_untrained(make_catalogue(200, 7), tmp_path_factory.mktemp("models"), ModelConfig())
