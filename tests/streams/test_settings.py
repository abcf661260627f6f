"""Settings: environment before secrets before file before defaults; every mistake is one clear line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from encoders.errors import SettingsError
from encoders.events import EventType
from exporters.vector_store import ItemFilter
from streams.scenario_settings import scenarios_of
from streams.scenarios import DAY_MS, Scenario
from streams.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine's reaches a test, and none of a test's stays."""
    for name in list(os.environ):
        if name.upper().startswith("FRESHET_"):
            monkeypatch.delenv(name)
    # load_settings(config) names the file in the environment: let monkeypatch take it back.
    monkeypatch.setenv("FRESHET_CONFIG", "")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_defaults_need_nothing() -> None:
    settings = load_settings()
    assert settings.kafka.bootstrap_servers == "127.0.0.1:9092"
    assert settings.recommendations.k == 20


def test_http_listens_on_loopback_by_default() -> None:
    assert load_settings().http.host == "127.0.0.1"


def test_environment_beats_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHET_KAFKA__GROUP_ID", "shop")
    settings = load_settings()
    assert (settings.kafka.group_id, settings.kafka.partitions) == ("shop", 4)


def test_file_beats_the_default(tmp_path: Path) -> None:
    file = write(tmp_path / "f.toml", '[kafka]\ngroup_id = "shop"\n[batch]\nmax_events = 9\n')
    settings = load_settings(file)
    assert (settings.kafka.group_id, settings.batch.max_events) == ("shop", 9)


def test_environment_beats_the_file_one_setting_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "f.toml", '[kafka]\ngroup_id = "file"\npartitions = 8\n')
    monkeypatch.setenv("FRESHET_KAFKA__GROUP_ID", "environment")
    settings = load_settings(file)
    assert (settings.kafka.group_id, settings.kafka.partitions) == ("environment", 8)


def test_file_may_be_named_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHET_CONFIG", str(write(tmp_path / "f.toml", "[http]\nport = 1234\n")))
    assert load_settings().http.port == 1234


def test_arguments_beat_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHET_HTTP__PORT", "1111")
    assert load_settings(http={"port": 2222}).http.port == 2222


class TestSecrets:
    """Passwords and keys: from the environment or from files, never shown."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("FRESHET_SECRETS_DIR", str(tmp_path))
        return tmp_path

    def test_are_read_from_one_file_a_variable(self, folder: Path) -> None:
        write(folder / "FRESHET_KAFKA__SASL_PASSWORD", "hush\n")
        write(folder / "FRESHET_QDRANT__API_KEY", "shush")
        settings = load_settings()
        assert settings.kafka.sasl_password is not None
        assert settings.qdrant.api_key is not None
        assert settings.kafka.sasl_password.get_secret_value() == "hush"
        assert settings.qdrant.api_key.get_secret_value() == "shush"

    def test_file_may_have_a_lower_case_name(self, folder: Path) -> None:
        write(folder / "freshet_qdrant__api_key", "shush")
        assert load_settings().qdrant.api_key is not None

    def test_environment_beats_a_secret_file(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(folder / "FRESHET_QDRANT__API_KEY", "from-file")
        monkeypatch.setenv("FRESHET_QDRANT__API_KEY", "from-environment")
        api_key = load_settings().qdrant.api_key
        assert api_key is not None
        assert api_key.get_secret_value() == "from-environment"

    def test_unknown_file_is_refused(self, folder: Path) -> None:
        write(folder / "FRESHET_KAFKA__PASSWORD", "hush")
        with pytest.raises(SettingsError, match="FRESHET_KAFKA__PASSWORD"):
            load_settings()

    def test_missing_folder_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FRESHET_SECRETS_DIR", "/nowhere/at/all")
        with pytest.raises(SettingsError, match="/nowhere/at/all"):
            load_settings()

    @pytest.mark.parametrize("show", [repr, str, Settings.model_dump_json])
    def test_are_shown_nowhere(self, monkeypatch: pytest.MonkeyPatch, show: object) -> None:
        monkeypatch.setenv("FRESHET_KAFKA__SASL_PASSWORD", "hush-hush")
        monkeypatch.setenv("FRESHET_QDRANT__API_KEY", "hush-hush")
        assert callable(show)
        assert "hush-hush" not in show(load_settings())

    def test_are_not_in_the_message_about_a_wrong_setting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FRESHET_KAFKA__SASL_PASSWORD", "hush-hush")
        monkeypatch.setenv("FRESHET_KAFKA__PARTITIONS", "none")
        with pytest.raises(SettingsError) as caught:
            load_settings()
        assert "hush-hush" not in str(caught.value)


WRONG = {
    "FRESHET_KAFKA__PARTITIONS": "0",
    "FRESHET_KAFKA__SECURITY_PROTOCOL": "TELNET",
    "FRESHET_KAFKA__TOPIC_PREFIX": "a b",
    "FRESHET_KAFKA__GROUP_ID": "",
    "FRESHET_KAFKA__SOURCE_EPOCH": "8192",
    "FRESHET_KAFKA__CREATE_TOPICS": "perhaps",
    "FRESHET_KAFKA__NO_SUCH_SETTING": "1",
    "FRESHET_QDRANT__TIMEOUT_SECONDS": "-1",
    "FRESHET_MODEL__DEVICE": "abacus",
    "FRESHET_INPUT__MAX_VALUE_BYTES": "lots",
    "FRESHET_BATCH__MAX_EVENTS": "1.5",
    "FRESHET_RECOMMENDATIONS__K": "201",
    "FRESHET_HISTORY__EVENTS": "0",
    "FRESHET_HTTP__PORT": "65536",
    "FRESHET_LOG__LEVEL": "SHOUT",
    "FRESHET_RANKING__DENSE_CANDIDATES": "501",
    "FRESHET_EVIDENCE__LINGER_SECONDS": "0",
    "FRESHET_SCENARIOS": "3",
    "FRESHET_SCENARIOS__HOME": "3",
    "FRESHET_SCENARIOS__HOME__K": "201",
    "FRESHET_SCENARIOS__HOME__KK": "5",
    "FRESHET_SCENARIOS__HOME__BASIS": "future",
    "FRESHET_SCENARIOS__HOME__SOURCES": "[]",
    "FRESHET_SCENARIOS__SALE__SOURCES": '["rumours"]',
    "FRESHET_SCENARIOS__SALE__PRICE_BAND": "[2, 1]",
    "FRESHET_SCENARIOS__SALE__DIVERSITY": "1.5",
    "FRESHET_SCENARIOS__SALE__EXPLORATION": "0.6",
    "FRESHET_SCENARIOS__SALE__MAX_PER_BRAND": "0",
    "FRESHET_SCENARIOS__SALE__PUBLISH_AFTER": '["view"]',
    "FRESHET_SCENARIOS__SALE__FILTERS": '[{"field": "colour", "any_of": ["red"]}]',
    "FRESHET_KAFKAA__GROUP_ID": "shop",
    "FRESHET_KAFKA": "not json",
}


@pytest.mark.parametrize(("name", "value"), WRONG.items(), ids=WRONG.keys())
def test_a_wrong_variable_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    line = str(caught.value)
    assert "\n" not in line
    assert name in line or name.removeprefix("FRESHET_").lower() in line


def test_all_wrong_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHET_HTTP__PORT", "-1")
    monkeypatch.setenv("FRESHET_HISTORY__EVENTS", "0")
    with pytest.raises(SettingsError, match=r"FRESHET_HISTORY__EVENTS.*FRESHET_HTTP__PORT"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[kafka]\ngroupid = 'x'\n", "FRESHET_KAFKA__GROUPID"),
        ("[kafkaa]\n", "FRESHET_KAFKAA"),
        ("top = 1\n", "FRESHET_TOP"),
        ("[kafka\n", "cannot be read"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError, match=named) as caught:
        load_settings(write(tmp_path / "f.toml", text))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "f.toml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml")


def test_a_stall_must_outlast_a_session() -> None:
    with pytest.raises(SettingsError, match=r"batch\.stall_seconds must exceed"):
        load_settings(batch={"stall_seconds": 10}, kafka={"session_timeout_seconds": 10})


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes puts such names into every pod beside a service called freshet."""
    monkeypatch.setenv("FRESHET_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("FRESHET_PORT_8080_TCP", "tcp://10.0.0.1:8080")
    assert load_settings().http.port == 8080


class TestScenarios:
    """Tables over the defaults; what cannot be meant is refused at start."""

    def test_home_is_what_a_scenario_is_by_default(self) -> None:
        assert scenarios_of(load_settings())["home"] == Scenario()

    def test_four_are_always_there(self) -> None:
        assert list(load_settings().scenarios) == ["home", "complements", "trending", "similar"]

    def test_one_more_takes_none_away(self, tmp_path: Path) -> None:
        file = write(tmp_path / "f.toml", "[scenarios.sale]\nk = 3\n")
        assert list(load_settings(file).scenarios) == ["home", "complements", "trending", "similar", "sale"]

    def test_one_setting_keeps_the_others(self, tmp_path: Path) -> None:
        file = write(tmp_path / "f.toml", "[scenarios.complements]\nk = 3\n")
        changed = scenarios_of(load_settings(file))["complements"]
        assert (changed.k, changed.basis, changed.sources) == (3, "purchase", ("covisited",))

    def test_environment_and_file_go_together(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FRESHET_SCENARIOS__HOME__K", "5")
        file = write(tmp_path / "f.toml", "[scenarios.home]\nk = 7\ndiversity = 0.3\n")
        home = scenarios_of(load_settings(file))["home"]
        assert (home.k, home.diversity, len(home.publish_after)) == (5, 0.3, len(EventType))

    def test_what_is_unset_is_as_in_recommendations(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FRESHET_RECOMMENDATIONS__K", "7")
        monkeypatch.setenv("FRESHET_RECOMMENDATIONS__HIDE_SEEN_DAYS", "1.5")
        monkeypatch.setenv("FRESHET_SCENARIOS__SIMILAR__HIDE_SEEN_DAYS", "0")
        found = scenarios_of(load_settings())
        assert [found[name].k for name in ("home", "similar")] == [7, 7]
        assert [found[name].hide_seen_ms for name in ("home", "similar")] == [DAY_MS * 3 // 2, 0]

    def test_everything_set_arrives(self, tmp_path: Path) -> None:
        text = """[scenarios.sale]
        basis = "last"
        sources = ["new"]
        filters = [{field = "price", max = 100}, {field = "brand", any_of = ["Acme"]},
                   {field = "age_days", max = 30}]
        price_band = [0.5, 2.0]
        max_per_category = 3
        max_per_brand = 2
        diversity = 0.25
        exploration = 0.1
        hide_seen_days = 1
        hide_bought_days = 2
        k = 10
        publish_after = ["purchase"]
        """
        assert scenarios_of(load_settings(write(tmp_path / "f.toml", text)))["sale"] == Scenario(
            name="sale",
            k=10,
            basis="last",
            sources=("new",),
            hide_seen_ms=DAY_MS,
            hide_bought_ms=2 * DAY_MS,
            filter=ItemFilter(max_price=100.0, any_brand=("Acme",)),
            price_band=(0.5, 2.0),
            max_age_ms=30 * DAY_MS,
            max_per_category=3,
            max_per_brand=2,
            diversity=0.25,
            exploration=0.1,
            publish_after=frozenset({EventType.PURCHASE}),
        )

    @pytest.mark.parametrize("name", ["Sale", "a b", "a" * 41, "über", '""'])
    def test_a_wrong_name_is_refused(self, tmp_path: Path, name: str) -> None:
        quoted = name if name == '""' else f'"{name}"'
        with pytest.raises(SettingsError, match="a-z, 0-9 and -"):
            load_settings(write(tmp_path / "f.toml", f"[scenarios.{quoted}]\n"))

    def test_a_rule_on_an_unknown_field_names_scenario_and_fields(self, tmp_path: Path) -> None:
        text = '[scenarios.sale]\nfilters = [{field = "colour", any_of = ["red"]}]\n'
        with pytest.raises(SettingsError, match=r"SCENARIOS__SALE__FILTERS.*items have price.*age_days"):
            load_settings(write(tmp_path / "f.toml", text))

    def test_an_unknown_event_is_answered_with_those_that_there_are(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FRESHET_SCENARIOS__HOME__PUBLISH_AFTER", '["view"]')
        with pytest.raises(SettingsError, match=r"HOME__PUBLISH_AFTER.*'click', 'purchase', 'cart'"):
            load_settings()

    def test_event_names_are_those_of_the_vocabulary(self) -> None:
        assert scenarios_of(load_settings())["home"].publish_after == frozenset(EventType)

    def test_rules_can_be_shown(self, tmp_path: Path) -> None:
        text = '[scenarios.sale]\nfilters = [{field = "price", max = 5}]\n'
        assert '"max":5' in load_settings(write(tmp_path / "f.toml", text)).model_dump_json()


def test_a_trainer_without_a_task_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "f.toml", "[trainer]\nclick_loss_weight = 0\npurchase_loss_weight = 0\n")
    with pytest.raises(SettingsError, match="nothing to train"):
        load_settings(file)
