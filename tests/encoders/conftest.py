"""Fixtures of the encoders' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.runtime import ServingModel
from exporters.model_store import load_model


@pytest.fixture(scope="session")
def serving_model(untrained_model: Path) -> ServingModel:
    """A real model, loaded."""
    return load_model(untrained_model)
