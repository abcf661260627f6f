"""What serves at the start: the released version, with or without a model in ``model.path``."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from encoders.errors import ModelNotFound, ReleaseRefused
from exporters.model_manifest import MANIFEST, entry_of
from streams.messages import ModelAt, ModelRelease
from streams.opening import open_reading, open_serving
from streams.releases.release import model_name
from streams.serving import Serving
from streams.settings import ModelSettings, QdrantSettings, Settings

VERSION = "20261101-aaaaaaaa"
NOTHING = cast(Any, None)


@pytest.fixture
def folder(tmp_path: Path, untrained_model: Path) -> Path:
    """A version that lies where no setting points."""
    folder = tmp_path / "elsewhere" / VERSION
    shutil.copytree(untrained_model, folder)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"version": VERSION}))
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A machine without a model."""
    return Settings(
        model=ModelSettings(path=tmp_path / "none", cache=tmp_path / "cache"),
        qdrant=QdrantSettings(path=tmp_path / "store"),
    )


def release_of(folder: Path, model: str = "freshet") -> ModelRelease:
    champion = ModelAt(version=VERSION, uri=str(folder), digest=entry_of(folder / MANIFEST).sha256)
    return ModelRelease(model=model, number=1, champion=champion, lineage=["older"], released_at=0)


def pointing_to(model: Path, settings: Settings) -> Settings:
    return settings.model_copy(update={"model": settings.model.model_copy(update={"path": model})})


def opened(settings: Settings, release: ModelRelease | None) -> Serving:
    return open_serving(settings, NOTHING, NOTHING, release)


def test_a_worker_without_a_model_serves_what_is_released(settings: Settings, folder: Path) -> None:
    serving = opened(settings, release_of(folder))
    with closing(serving.store):
        assert serving.generation.version == VERSION


def test_a_worker_without_a_model_and_with_a_release_that_cannot_be_used_says_why(
    settings: Settings, folder: Path
) -> None:
    release = release_of(folder)
    (folder / "item.onnx").write_bytes(b"")
    with pytest.raises(ReleaseRefused, match=r"item\.onnx is not the file that was released"):
        opened(settings, release)


def test_a_worker_without_a_model_and_without_a_release_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(ModelNotFound, match="model init"):
        opened(settings, None)


def test_reading_takes_the_released_version_that_workers_have_served(
    settings: Settings, folder: Path
) -> None:
    release = release_of(folder)
    opened(settings, release).store.close()
    with open_reading(settings, release) as (_, generation, elsewhere):
        assert (generation.version, elsewhere) == (VERSION, [])


def test_reading_takes_the_model_of_the_settings_as_long_as_no_worker_has_served_the_release(
    settings: Settings, folder: Path, untrained_model: Path
) -> None:
    with open_reading(pointing_to(untrained_model, settings), release_of(folder)) as (_, generation, _):
        assert generation.version == json.loads((untrained_model / MANIFEST).read_bytes())["version"]


class TestModelName:
    """Which model is meant where ``model.path`` has none."""

    def test_the_one_that_is_released(self, settings: Settings, folder: Path) -> None:
        assert model_name(settings, {"shop": release_of(folder, "shop")}) == "shop"

    def test_of_several_the_settings_must_say_which(self, settings: Settings, folder: Path) -> None:
        with pytest.raises(ModelNotFound, match="a, b are released"):
            model_name(settings, dict.fromkeys("ab", release_of(folder)))

    def test_the_one_of_the_settings_comes_first(
        self, settings: Settings, folder: Path, untrained_model: Path
    ) -> None:
        own = pointing_to(untrained_model, settings)
        assert model_name(own, {"shop": release_of(folder, "shop")}) == "freshet"
