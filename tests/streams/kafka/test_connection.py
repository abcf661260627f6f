"""What each client is given for the same settings, and that no password shows."""

from __future__ import annotations

import socket
from pathlib import Path

import faust
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import BrokerUnavailable, SettingsError
from streams.kafka.connection import (
    aiokafka_options,
    check_reachable,
    faust_broker,
    faust_credentials,
    kafka_python_options,
    open_admin,
)
from streams.settings import KafkaSettings

PASSWORD = "hunter2-not-shown"


def sasl(**changes: object) -> KafkaSettings:
    values = {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "shop", "sasl_password": PASSWORD}
    return KafkaSettings.model_validate(values | changes)


def test_plain_settings_need_no_security() -> None:
    options = kafka_python_options(KafkaSettings(bootstrap_servers="a:1, b:2"))
    assert options == {
        "bootstrap_servers": ["a:1", "b:2"],
        "api_version": (2, 1),
        "security_protocol": "PLAINTEXT",
    }


def test_both_clients_are_given_the_same_security() -> None:
    settings = sasl(sasl_mechanism="SCRAM-SHA-256")
    assert kafka_python_options(settings) == aiokafka_options(settings) | {"api_version": (2, 1)}


def test_the_password_reaches_the_client_unchanged() -> None:
    assert aiokafka_options(sasl())["sasl_plain_password"] == PASSWORD


@given(st.text(alphabet="αβγδ", min_size=8))
def test_no_password_shows_in_options_credentials_or_settings(password: str) -> None:
    settings = sasl(sasl_password=password)
    shown = repr(kafka_python_options(settings)) + repr(faust_credentials(settings)) + repr(settings)
    assert password not in shown


def test_tls_verifies_the_brokers_certificate_and_name() -> None:
    context = aiokafka_options(KafkaSettings(security_protocol="SSL"))["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


def test_faust_is_given_every_broker() -> None:
    assert faust_broker(KafkaSettings(bootstrap_servers="a:1,b:2")) == "kafka://a:1;kafka://b:2"


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (KafkaSettings(), type(None)),
        (KafkaSettings(security_protocol="SSL"), faust.SSLCredentials),
        (sasl(), faust.SASLCredentials),
        (sasl(security_protocol="SASL_SSL"), faust.SASLCredentials),
    ],
)
def test_faust_is_given_the_credentials_of_the_protocol(settings: KafkaSettings, kind: type) -> None:
    credentials = faust_credentials(settings)
    assert type(credentials) is kind
    if credentials is not None:
        assert credentials.protocol.value == settings.security_protocol


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (KafkaSettings(bootstrap_servers="no-port"), "'no-port' is not HOST:PORT"),
        (KafkaSettings(bootstrap_servers="host:70000"), "is not HOST:PORT"),
        (KafkaSettings(bootstrap_servers=" , "), "names no broker"),
        (sasl(sasl_username=None), "needs FRESHET_KAFKA__SASL_USERNAME"),
        (sasl(sasl_password=None), "needs FRESHET_KAFKA__SASL_USERNAME"),
        (sasl(security_protocol="SSL"), "set but not used"),
        (KafkaSettings(ssl_cafile=Path("ca.pem")), "named but not used"),
        (KafkaSettings(security_protocol="SSL", ssl_cafile=Path("missing.pem")), "there is no such file"),
        (KafkaSettings(security_protocol="SSL", ssl_cafile=Path(__file__)), "cannot be used"),
        (
            KafkaSettings(security_protocol="SSL", ssl_keyfile=Path(__file__)),
            "needs FRESHET_KAFKA__SSL_CERTFILE",
        ),
    ],
)
def test_settings_that_cannot_work_are_named(settings: KafkaSettings, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        kafka_python_options(settings)


def test_a_refused_setting_does_not_show_the_password() -> None:
    with pytest.raises(SettingsError) as caught:
        kafka_python_options(sasl(security_protocol="SSL"))
    assert PASSWORD not in str(caught.value)


def test_nothing_at_the_address_is_one_line_that_says_what_to_do() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(BrokerUnavailable, match=f"no Kafka broker answers at {address}: start one with"):
            check_reachable(KafkaSettings(bootstrap_servers=address))


def test_something_that_is_no_kafka_is_told_apart() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        settings = KafkaSettings(bootstrap_servers=f"127.0.0.1:{mute.getsockname()[1]}")
        with (
            pytest.raises(BrokerUnavailable, match="accepts connections, but no Kafka"),
            open_admin(settings, 0.5),
        ):
            pass


def test_one_reachable_broker_of_several_is_enough() -> None:
    with socket.socket() as silent, socket.socket() as listening:
        silent.bind(("127.0.0.1", 0))
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        servers = ",".join(f"127.0.0.1:{each.getsockname()[1]}" for each in (silent, listening))
        check_reachable(KafkaSettings(bootstrap_servers=servers))
