from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.model_manifest import read_manifest
from streams.codec import Limits, Rejected
from streams.messages import ModelAt, ModelRelease, TrainingRequest
from streams.settings import Settings, TrainerSettings
from streams.trainer.requests import Accepted, accept, decode_request
from tests.support.trainers import request

LIMITS = Limits()


def decoded(**changes: object) -> TrainingRequest | Rejected:
    wanted = request(**changes)
    return decode_request(wanted.model.encode(), msgspec.json.encode(wanted), LIMITS)


def test_a_request_comes_through() -> None:
    assert decoded() == request()


@given(st.none() | st.binary(), st.none() | st.binary())
def test_whatever_comes_is_read_or_refused(key: bytes | None, value: bytes | None) -> None:
    assert isinstance(decode_request(key, value, LIMITS), TrainingRequest | Rejected)


@pytest.mark.parametrize("until_ms", [0, 1])
def test_a_window_without_time_is_empty(until_ms: int) -> None:
    found = decoded(window_from_ms=1, window_until_ms=until_ms)
    assert isinstance(found, Rejected)
    assert found.reason == "empty_window"


def test_a_request_under_another_key_is_refused() -> None:
    found = decode_request(b"other", msgspec.json.encode(request()), LIMITS)
    assert isinstance(found, Rejected)
    assert found.reason == "key_mismatch"


@pytest.fixture
def settings(untrained_model: Path) -> Settings:
    return Settings(trainer=TrainerSettings(models=untrained_model.parent))


@pytest.fixture
def version(untrained_model: Path) -> str:
    return read_manifest(untrained_model).version


def release_of(version: str) -> ModelRelease:
    at = ModelAt(version=version, uri="file:///nowhere", digest="0" * 64)
    return ModelRelease(model="freshet", number=1, champion=at, released_at=0)


@pytest.mark.parametrize("is_released", [False, True])
def test_the_champion_is_the_folder_of_its_version(
    settings: Settings, version: str, is_released: bool
) -> None:
    released = release_of(version) if is_released else None
    found = accept(request(parent=version), settings, released)
    assert isinstance(found, Accepted)
    assert read_manifest(found.champion).version == version


@pytest.mark.parametrize("name", ["20200101-00000000", "", "..", "../../etc", "latest"])
def test_a_version_that_is_not_there_is_unknown(settings: Settings, name: str) -> None:
    found = accept(request(parent=name), settings, None)
    assert isinstance(found, Rejected)
    assert found.reason == "unknown_model"


def test_a_version_of_another_model_is_unknown(settings: Settings, version: str) -> None:
    found = accept(request(parent=version, model="other"), settings, None)
    assert isinstance(found, Rejected)
    assert found.reason == "unknown_model"


def test_a_parent_that_no_longer_serves_is_stale(settings: Settings, version: str) -> None:
    found = accept(request(parent=version), settings, release_of("20300101-00000000"))
    assert isinstance(found, Rejected)
    assert found.reason == "stale_parent"
