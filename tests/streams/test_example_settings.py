"""The example in ``deploy/`` names every setting, at its default."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from streams.settings import Settings, load_settings

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "freshet.example.toml"


def test_the_example_says_what_holds_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHET_CONFIG", "")
    without = load_settings()
    monkeypatch.setenv("FRESHET_CONFIG", str(EXAMPLE))
    assert load_settings() == without


@pytest.mark.parametrize("section", Settings.model_fields)
def test_the_example_names_every_setting(section: str) -> None:
    text = EXAMPLE.read_text()
    named = set(tomllib.loads(text)[section])
    fields = type(Settings.model_fields[section].default).model_fields
    missing = [name for name in fields if name not in named and f"# {name} = " not in text]
    assert missing == []
