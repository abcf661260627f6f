"""The examples of docs/extending.md, extracted and run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import numpy as np
import pytest

from encoders import datasets
from encoders.config import ModelConfig
from encoders.errors import DataError, ModelError
from streams.kafka.producer import EventProducer
from streams.kafka.reader import read
from streams.kafka.topics import ensure_topics
from streams.messages import TrainingRequest
from tests.docs.pages import blocks
from tests.kafka_fixtures import MakeSettings
from tests.support.workers import REPOSITORY, clean_environment

CATALOGUE = REPOSITORY / "deploy" / "items.example.jsonl"
HOUR_MS = 3_600_000
FILES = {
    block.words[1].removeprefix("file="): block.text
    for block in blocks(REPOSITORY / "docs" / "extending.md")
    if len(block.words) > 1
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, *arguments: str, **settings: object) -> str:
    environment = clean_environment(**settings)
    environment["PYTHONPATH"] += f":{folder}"
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "make_encoder.py").write_text(FILES["make_encoder.py"])
    run(folder, "make_encoder.py", str(CATALOGUE), "my-encoder")
    return folder / "my-encoder"


def test_an_encoder_of_ones_own_becomes_the_text_tower(encoder: Path, tmp_path: Path) -> None:
    from exporters.tower_files import encode_texts, write_text_tower

    name, digest = write_text_tower(tmp_path, ModelConfig(dim=32), str(encoder), None)
    pot, cups, tent = encode_texts(tmp_path, ["tea pot", "tea cups", "tent"], lambda *told: None)
    assert (name, len(digest)) == ("my-encoder", 64)
    assert pot @ cups > pot @ tent
    np.testing.assert_allclose(np.linalg.norm([pot, cups, tent], axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("missing", ["tokenizer.json", "normalisation"])
def test_an_encoder_that_is_none_is_refused(encoder: Path, tmp_path: Path, missing: str) -> None:
    from exporters.tower_files import write_text_tower

    broken = Path(shutil.copytree(encoder, tmp_path / "broken"))
    if missing == "tokenizer.json":
        (broken / missing).unlink()
    else:
        without_normalisation(broken / "text.onnx")
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelError, match=r"holds no text tower|unit length"):
        write_text_tower(tmp_path / "model", ModelConfig(dim=32), str(broken), None)


def without_normalisation(path: Path) -> None:
    import onnx

    graph = onnx.load(path)
    graph.graph.node[-2].output[0] = "text_vectors"
    del graph.graph.node[-1]
    onnx.save(graph, path)


def test_a_data_set_of_ones_own_is_known_by_its_entry_point(folder: Path) -> None:
    """Installed as pip would: a folder of metadata with what pyproject.toml says."""
    declared = tomllib.loads(FILES["pyproject.toml"])["project"]
    metadata = folder / f"my_shop-{declared['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: 1.0\n")
    entries = declared["entry-points"]["freshet.datasets"]
    lines = [f"{name} = {target}" for name, target in entries.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[freshet.datasets]", *lines]))
    orders = [
        "ann;A1;Tea pot;1700000001000;2",
        "ben;A1;Tea pot;1700000000000;1",
        "ann;A1;Tea pot;1700000002000;-1",
    ]
    (folder / "orders.csv").write_text("\n".join([*orders, "no order"]))
    code = """
from pathlib import Path
from encoders.datasets import load
data = load("my-shop", Path("orders.csv"))
print([one.user_id for one in data.interactions()], data.items[0].title, dict(data.skipped))
"""
    assert run(folder, "-c", code) == "['ben', 'ann'] Tea pot {'returned': 1, 'malformed': 1}\n"


def test_a_loader_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    added = EntryPoint("my-shop", "no_such_module:load", "freshet.datasets")
    monkeypatch.setitem(datasets._ADDED, "my-shop", added)
    with pytest.raises(DataError, match="no_such_module:load"):
        datasets.load("my-shop", Path("orders.csv"))


def test_a_detector_of_ones_own_asks_for_a_training(folder: Path, demo_settings: MakeSettings) -> None:
    """On prices that are tripled within the hour, by the records' times."""
    settings = demo_settings()
    ensure_topics(settings)
    now_ms = 1_795_000_000_000
    rng = np.random.default_rng(0)
    with EventProducer(settings) as producer:
        for at in range(300):
            age_ms, factor = (30_000 * (at - 200), 3.0) if at >= 200 else (2 * HOUR_MS, 1.0)
            purchase = {
                "event_id": str(at),
                "user_id": "ann",
                "item_id": "tent",
                "timestamp": now_ms,
                "price": factor * rng.uniform(10, 20),
            }
            producer.send(
                "purchases", b"ann", json.dumps(purchase).encode(), timestamp_ms=now_ms - 1 - age_ms
            )
    said = run(
        folder,
        "price_watch.py",
        "v1",
        str(now_ms),
        KAFKA__BOOTSTRAP_SERVERS=settings.bootstrap_servers,
        KAFKA__TOPIC_PREFIX=settings.topic_prefix,
    )
    (record,) = read(settings, "training-requests")
    assert record.value is not None
    request = msgspec.json.decode(record.value, type=TrainingRequest)
    assert said.startswith("200 purchases before, 100 after")
    assert (request.parent, request.reasons[0].detector) == ("v1", "prices")
