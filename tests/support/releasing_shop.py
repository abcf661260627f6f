"""A shop whose worker changes its model: two versions of one, clicks, and releases of all kinds."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec

from exporters.model_manifest import MANIFEST, entry_of
from streams.demo.catalogue import make_catalogue
from streams.messages import ModelRelease
from streams.releases.topic import TOPIC
from streams.settings import KafkaSettings
from tests.support.shop import Shop

ITEMS = make_catalogue(200, 7)
NOW_MS = time.time_ns() // 1_000_000
FIRST, SECOND = "20261101-aaaaaaaa", "20261102-bbbbbbbb"


def version_of(model: Path, models: Path, version: str) -> Path:
    """A copy of a model under another version: other collections, the same answers."""
    folder = models / version
    shutil.copytree(model, folder)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"version": version}))
    return folder


class ReleasingShop(Shop):
    """A shop whose models folder has two versions; the first one serves."""

    def __init__(self, settings: KafkaSettings, model: Path, folder: Path, **worker: object) -> None:
        models = folder / "models"
        self.models, self.folder = models, folder
        version_of(model, models, FIRST)
        version_of(model, models, SECOND)
        (models / "latest").write_text(FIRST)
        super().__init__(settings, models, folder, **worker)
        self.sent: dict[str, int] = {}

    def click(self, user: str, item: int) -> None:
        number = self.sent[user] = self.sent.get(user, 0) + 1
        event = {
            "event_id": f"{user}-{number}",
            "user_id": user,
            "item_id": ITEMS[item].item_id,
            "timestamp": NOW_MS + sum(self.sent.values()),
        }
        self.producer.send("clicks", user.encode(), json.dumps(event).encode())

    def click_until_it_serves(self, version: str) -> None:
        turn = 0
        while not self.serves(version):
            turn += 1
            assert turn < 300, self.worker.tail()
            self.click(f"user-{turn % 20}", turn % 200)
            self.producer.flush()
            time.sleep(0.05)

    def serves(self, version: str) -> bool:
        return f'model_version="{version}",role="champion"' in self.worker.metrics()

    def versions(self, user: str) -> list[str]:
        return [one.model_version for one in self.recommendations(user)]

    def refusals(self, reason: str) -> float:
        return self.counted(f'freshet_release_refusals_total{{reason="{reason}"}}')

    def counted(self, metric: str) -> float:
        found = [one for one in self.worker.metrics().splitlines() if one.startswith(f"{metric} ")]
        return float(found[0].removeprefix(metric)) if found else 0.0

    def number(self) -> int:
        """Of the newest release."""
        return max(
            msgspec.json.decode(one.value or b"", type=ModelRelease).number for one in self.read(TOPIC)
        )

    def damaged(self, name: str, contents: dict[str, bytes] | None = None, **manifest: Any) -> dict[str, Any]:
        """A release of a version with other files or another manifest, and honest about it."""
        folder = self.models / name
        shutil.copytree(self.models / SECOND, folder)
        written = json.loads((folder / MANIFEST).read_bytes())
        for file, content in (contents or {}).items():
            (folder / file).write_bytes(content)
            entry = entry_of(folder / file)
            written["files"][file] = {"sha256": entry.sha256, "bytes": entry.bytes}
        (folder / MANIFEST).write_text(json.dumps(written | manifest))
        return {"uri": str(folder), "digest": digest_of(folder)}

    def announce(self, number: int, **champion: Any) -> None:
        """Publish a release as nobody should: whatever it says."""
        at = {"version": SECOND, "uri": str(self.models / SECOND), "digest": "0" * 64, "items": 0} | champion
        body = {
            "model": "freshet",
            "number": number,
            "champion": at,
            "released_at": NOW_MS,
            "lineage": [FIRST, SECOND],
        }
        self.producer.send(TOPIC, b"freshet", msgspec.json.encode(msgspec.convert(body, ModelRelease)))
        self.producer.flush()


def digest_of(folder: Path) -> str:
    return entry_of(folder / MANIFEST).sha256
