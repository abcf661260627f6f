import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from encoders.errors import SettingsError
from streams.cli.config import config
from streams.settings_reference import reference

PAGE = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(config, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_page_in_the_docs_is_what_the_settings_say():
    assert PAGE.read_text() == reference(), "run `freshet config reference > docs/configuration.md`"


def test_the_command_prints_the_page():
    assert run("reference") == reference()


def test_a_check_names_what_differs_from_the_defaults(monkeypatch):
    monkeypatch.setenv("FRESHET_BATCH__MAX_EVENTS", "17")
    assert "Other than the defaults: batch.max_events." in run("check")


def test_a_check_of_untouched_settings_says_so():
    assert "Other than the defaults: nothing." in run("check")


def test_a_check_refuses_what_a_worker_would_refuse(monkeypatch):
    monkeypatch.setenv("FRESHET_BATCH__MAX_EVENTS", "0")
    with pytest.raises(SettingsError, match="FRESHET_BATCH__MAX_EVENTS"):
        run("check")


def test_a_changed_scenario_is_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("FRESHET_CONFIG", "")  # so that it is put back
    (tmp_path / "f.toml").write_text("[scenarios.home]\ndiversity = 0.3\n")
    shown = json.loads(run("show", "--json", "--config", str(tmp_path / "f.toml")))
    assert shown["scenarios"]["home"]["diversity"] == 0.3
    assert list(shown) == ["scenarios"]


def test_a_secret_is_never_shown(monkeypatch):
    monkeypatch.setenv("FRESHET_QDRANT__API_KEY", "very-secret")
    printed = run("show") + run("show", "--json") + run("show", "--all")
    assert "qdrant.api_key" in printed
    assert "very-secret" not in printed
