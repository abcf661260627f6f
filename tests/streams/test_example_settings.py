"""The example in ``deploy/`` names every setting, at its default."""

from __future__ import annotations

import operator
import re
import tomllib
from functools import reduce
from pathlib import Path

import pytest

from streams.settings import ScenarioSettings, Section, Settings, load_settings

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "freshet.example.toml"


def test_the_example_says_what_holds_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHET_CONFIG", "")
    without = load_settings()
    monkeypatch.setenv("FRESHET_CONFIG", str(EXAMPLE))
    assert load_settings() == without


def sections() -> dict[tuple[str, ...], type[Section]]:
    """Every table that the example should have, with the model of its settings."""
    fields = {(name,): field.annotation for name, field in Settings.model_fields.items()}
    del fields[("scenarios",)]
    return fields | {("scenarios", "home"): ScenarioSettings}


@pytest.mark.parametrize("section", sections(), ids=".".join)
def test_the_example_names_every_setting(section: tuple[str, ...]) -> None:
    text = EXAMPLE.read_text()
    named = reduce(operator.getitem, section, tomllib.loads(text))
    missing = [name for name in sections()[section].model_fields if name not in named]
    assert [name for name in missing if f"# {name} = " not in text] == []


def test_the_example_names_every_scenario_that_is_always_there() -> None:
    assert list(tomllib.loads(EXAMPLE.read_text())["scenarios"]) == list(Settings().scenarios)


def test_the_example_is_right_about_what_it_comments_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its example of filters is read as it stands."""
    (rules,) = re.findall(r"^# (\[\{field.*\])$", EXAMPLE.read_text(), re.MULTILINE)
    (tmp_path / "f.toml").write_text(f"[scenarios.home]\nfilters = {rules}\n")
    monkeypatch.setenv("FRESHET_CONFIG", str(tmp_path / "f.toml"))
    assert len(load_settings().scenarios["home"].filters) == 3
