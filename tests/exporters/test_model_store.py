from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from encoders.errors import ModelCorrupt, ModelError, ModelNotFound
from exporters.model_manifest import entry_of
from exporters.model_store import ModelFacts, load_model, point_latest, write_model
from exporters.vector_store import CollectionNames
from tests.support.full_disk import fill_up, small_disk


@pytest.fixture
def model(tmp_path: Path, untrained_model: Path) -> Path:
    """A copy of a model version that a test may damage, in a models folder of its own."""
    folder = tmp_path / "models" / untrained_model.name
    folder.mkdir(parents=True)
    for path in untrained_model.iterdir():
        if path.name == "text.onnx":  # 90 MB: shared, and replaced, not written to, by what damages it
            os.link(path, folder / path.name)
        else:
            shutil.copy(path, folder / path.name)
    return folder


def change_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest.update(changes)
    path.write_text(json.dumps(manifest))


def replace(folder: Path, name: str, content: bytes, *, honest: bool) -> None:
    """Put other bytes into a file; ``honest``: with a manifest that says so."""
    (folder / name).unlink()
    (folder / name).write_bytes(content)
    if honest:
        entry = entry_of(folder / name)
        files = json.loads((folder / "manifest.json").read_bytes())["files"]
        change_manifest(folder, files={**files, name: {"sha256": entry.sha256, "bytes": entry.bytes}})


def test_version_folder_loads(model: Path) -> None:
    loaded = load_model(model)
    assert (loaded.version, loaded.dim, loaded.text_dim, loaded.state_dim) == (model.name, 128, 384, 256)


def test_versions_of_one_text_tower_share_it(model: Path) -> None:
    first, second = load_model(model), load_model(model)
    assert first.text is second.text


def test_models_folder_loads_what_latest_names(model: Path) -> None:
    point_latest(model.parent, model.name)
    assert load_model(model.parent).version == model.name


def test_version_is_a_date_and_a_digest_and_names_collections(model: Path) -> None:
    assert re.fullmatch(r"\d{8}-[0-9a-f]{8}", model.name)
    assert CollectionNames.of(model.name).items == f"items-{model.name}"


def test_no_model_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=f"make one with `freshet model init .* --out {tmp_path}`"):
        load_model(tmp_path)


def test_a_folder_that_does_not_exist_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        load_model(tmp_path / "nowhere")


@pytest.mark.parametrize("pointer", ["20200101-00000000", "../elsewhere", "", "a\nb", "\x00"])
def test_latest_that_names_no_version_here_is_refused(model: Path, pointer: str) -> None:
    (model.parent / "latest").write_text(pointer)
    with pytest.raises(ModelCorrupt, match="is no model"):
        load_model(model.parent)


def test_changed_byte_is_found(model: Path) -> None:
    content = bytearray((model / "item.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    replace(model, "item.onnx", bytes(content), honest=False)
    with pytest.raises(ModelCorrupt, match=r"item\.onnx is not the file that was written"):
        load_model(model)


def test_truncated_file_is_found(model: Path) -> None:
    replace(model, "text.onnx", (model / "text.onnx").read_bytes()[:1000], honest=False)
    with pytest.raises(ModelCorrupt, match=r"text\.onnx is not the file that was written"):
        load_model(model)


def test_missing_file_is_found(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    with pytest.raises(ModelCorrupt, match=r"tokenizer\.json is missing"):
        load_model(model)


def test_file_that_no_graph_is_becomes_one_line(model: Path) -> None:
    replace(model, "user_step.onnx", b"not a graph", honest=True)
    with pytest.raises(ModelCorrupt, match=r"^cannot load the model in [^\n]*$"):
        load_model(model)


def test_tokenizer_that_is_none_becomes_one_line(model: Path) -> None:
    replace(model, "tokenizer.json", b"{}", honest=True)
    with pytest.raises(ModelCorrupt, match=r"^cannot load the model in [^\n]*$"):
        load_model(model)


def test_other_output_than_the_golden_vector_is_found(model: Path) -> None:
    golden = json.loads((model / "golden.json").read_bytes())
    golden["interest"] = np.roll(golden["interest"], 1).tolist()
    replace(model, "golden.json", json.dumps(golden).encode(), honest=True)
    with pytest.raises(ModelCorrupt, match="does not compute what it promises"):
        load_model(model)


def test_golden_vector_of_other_shape_is_refused(model: Path) -> None:
    golden = json.loads((model / "golden.json").read_bytes())
    golden["event_types"] = []
    replace(model, "golden.json", json.dumps(golden).encode(), honest=True)
    with pytest.raises(ModelCorrupt):
        load_model(model)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret"])
def test_manifest_cannot_name_files_outside_its_folder(model: Path, name: str) -> None:
    (model.parent / "secret").write_bytes(b"")
    files = json.loads((model / "manifest.json").read_bytes())["files"]
    change_manifest(model, files={**files, name: {"sha256": "0" * 64, "bytes": 0}})
    with pytest.raises(ModelCorrupt, match="outside its folder"):
        load_model(model)


def test_link_out_of_the_folder_is_refused(model: Path, tmp_path: Path) -> None:
    shutil.move(model / "item.onnx", tmp_path / "item.onnx")
    (model / "item.onnx").symlink_to(tmp_path / "item.onnx")
    with pytest.raises(ModelCorrupt, match="outside its folder"):
        load_model(model)


def test_manifest_must_list_every_file_that_is_used(model: Path) -> None:
    files = json.loads((model / "manifest.json").read_bytes())["files"]
    del files["item.onnx"]
    change_manifest(model, files=files)
    with pytest.raises(ModelCorrupt, match=r"does not list item\.onnx"):
        load_model(model)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"{" * 10_000, b"\xff\xfe", b'{"format_version": "1"}', b" " * 9_000_000]
)
def test_manifest_that_is_none_is_refused_in_one_line(model: Path, content: bytes) -> None:
    (model / "manifest.json").write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"^[^\n]+$"):
        load_model(model)


def test_format_of_another_release_says_what_to_do(model: Path) -> None:
    change_manifest(model, format_version=99)
    with pytest.raises(ModelCorrupt, match="make the model again"):
        load_model(model)


def test_dimensions_that_contradict_the_graphs_are_found(model: Path) -> None:
    change_manifest(model, dim=64)
    with pytest.raises(ModelCorrupt):
        load_model(model)


def test_unknown_keys_in_a_configuration_are_refused(model: Path) -> None:
    replace(model, "config.json", b'{"dimension": 128}', honest=True)
    with pytest.raises(ModelCorrupt, match="unknown field"):
        load_model(model)


def test_files_name_no_path_of_the_machine_that_made_them(model: Path) -> None:
    for path in model.iterdir():
        content = path.read_bytes()
        assert str(Path(__file__).parents[2]).encode() not in content, path.name
        assert b"site-packages" not in content, path.name


def copies(source: Path) -> Callable[[Path], ModelFacts]:
    """Writes the files of a version one after the other, the large one last."""

    def build(folder: Path) -> ModelFacts:
        for path in sorted(source.iterdir(), key=lambda path: path.stat().st_size):
            shutil.copyfile(path, folder / path.name)
        raise AssertionError("it found room")

    return build


def saves(tensors: int) -> Callable[[Path], ModelFacts]:
    def build(folder: Path) -> ModelFacts:
        save_file({"w": np.ones(tensors, np.float32)}, folder / "weights.safetensors")
        raise AssertionError("it found room")

    return build


@pytest.mark.parametrize("writer", ["files", "weights"])
def test_on_a_full_disk_no_model_is_written_and_the_latest_stays(
    writer: str, model: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", megabytes=8) as models:
        shutil.copytree(model, models / "v1", ignore=shutil.ignore_patterns("text.onnx"))
        point_latest(models, "v1")
        build = {"files": copies(model), "weights": saves(4_000_000)}[writer]
        with pytest.raises(ModelError, match=r"No space left on device.*make room"):
            write_model(models, build, name="freshet")
        assert sorted(path.name for path in models.iterdir()) == ["latest", "v1"]
        assert (models / "latest").read_text() == "v1\n"


def test_without_room_for_a_pointer_it_names_what_it_named(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as models:
        point_latest(models, "v1")
        fill_up(models)
        with pytest.raises(OSError, match="No space left on device"):
            point_latest(models, "v2")
        assert (models / "latest").read_text() == "v1\n"
