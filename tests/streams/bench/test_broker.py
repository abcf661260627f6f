"""Which broker a benchmark gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.errors import SettingsError
from streams.bench.broker import DEMO_EVENTS, kafka_is_here, open_broker


def test_more_than_the_demo_broker_keeps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="lower --events"), open_broker("demo", tmp_path, DEMO_EVENTS + 1):
        pass


def test_no_jars_means_no_kafka(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FRESHET_KAFKA_JARS", str(tmp_path))
    assert not kafka_is_here()
