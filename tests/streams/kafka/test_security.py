"""SASL and TLS against a real Kafka, with both clients: what the settings promise is what the broker sees."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import aiokafka
import pytest
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from encoders.errors import BrokerUnavailable
from streams.kafka.connection import aiokafka_options, open_admin
from streams.kafka.local_broker import Listener, LocalKafka
from streams.kafka.producer import EventProducer
from streams.kafka.reader import read
from streams.kafka.topics import ensure_topics
from streams.settings import KafkaSettings

pytestmark = pytest.mark.kafka

USER, PASSWORD = "shop", "correct horse"
JAAS = "org.apache.kafka.common.security"
PLAIN = {
    "sasl.enabled.mechanisms": "PLAIN",
    "plain.sasl.jaas.config": f'{JAAS}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
}
SCRAM = {
    "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "scram-sha-512.sasl.jaas.config": f"{JAAS}.scram.ScramLoginModule required;",
}
SECURED = {
    "PLAIN": {"security_protocol": "SASL_PLAINTEXT", "sasl_username": USER, "sasl_password": PASSWORD},
    "SCRAM": {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": USER,
        "sasl_password": PASSWORD,
    },
    "TLS": {"security_protocol": "SSL"},
}


class Secured(NamedTuple):
    broker: LocalKafka
    certificate: Path

    def settings(self, listener: str, **changes: object) -> KafkaSettings:
        values: dict[str, object] = {"bootstrap_servers": self.broker.address(listener)} | SECURED[listener]
        if "SSL" in str(values["security_protocol"]).split("_"):
            values["ssl_cafile"] = self.certificate
        return KafkaSettings.model_validate(values | changes)


def keytool(*arguments: str) -> None:
    subprocess.run(
        ["keytool", *arguments, "-alias", "broker", "-storepass", "changeit"], check=True, capture_output=True
    )


def make_keystore(folder: Path) -> dict[str, str]:
    """A self-signed certificate for 127.0.0.1: as the broker wants it, and as PEM for the clients."""
    store = str(folder / "broker.p12")
    name = ("-dname", "CN=localhost", "-ext", "san=ip:127.0.0.1", "-validity", "2")
    keytool("-genkeypair", "-keystore", store, "-storetype", "PKCS12", "-keyalg", "RSA", *name)
    keytool("-exportcert", "-keystore", store, "-rfc", "-file", str(folder / "broker.pem"))
    return {"ssl.keystore.location": store, "ssl.keystore.password": "changeit"}


@pytest.fixture(scope="module")
def secured(kafka_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured-kafka")
    keystore = make_keystore(folder)
    listeners = (
        Listener("PLAIN", "SASL_PLAINTEXT", properties=PLAIN),
        Listener("SCRAM", "SASL_SSL", properties=SCRAM | keystore),
        Listener("TLS", "SSL", properties=keystore),
    )
    with LocalKafka(folder / "data", listeners=listeners) as broker:
        # Users of SCRAM need a newer protocol than Freshet's own calls.
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)) as admin:
            user = UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_512, password=PASSWORD)
            assert admin.alter_user_scram_credentials([user]) == {USER: None}
        ensure_topics(KafkaSettings(bootstrap_servers=broker.bootstrap_servers))
        yield Secured(broker, folder / "broker.pem")


@pytest.mark.parametrize("listener", SECURED)
async def test_what_kafka_python_sends_aiokafka_reads(secured: Secured, listener: str) -> None:
    settings = secured.settings(listener)
    with EventProducer(settings) as producer:
        producer.send("clicks", b"user", listener.encode())
    consumer = aiokafka.AIOKafkaConsumer("clicks", **aiokafka_options(settings), auto_offset_reset="earliest")
    await consumer.start()
    try:
        values = set()
        while listener.encode() not in values:
            values.add((await consumer.getone()).value)
    finally:
        await consumer.stop()


@pytest.mark.parametrize("listener", SECURED)
async def test_what_aiokafka_sends_kafka_python_reads(secured: Secured, listener: str) -> None:
    settings = secured.settings(listener)
    producer = aiokafka.AIOKafkaProducer(**aiokafka_options(settings))
    await producer.start()
    await producer.send_and_wait("purchases", listener.encode(), key=b"user")
    await producer.stop()
    assert listener.encode() in {record.value for record in read(settings, "purchases")}


@pytest.mark.parametrize("listener", ["PLAIN", "SCRAM"])
def test_a_wrong_password_is_one_line_without_it(secured: Secured, listener: str) -> None:
    settings = secured.settings(listener, sasl_password="wrong-password")
    refused = pytest.raises(BrokerUnavailable, match=r"to SASL_.* as shop: check FRESHET_KAFKA__")
    with refused as caught, open_admin(settings, timeout=1.0):
        pass
    assert "wrong-password" not in str(caught.value)


def test_a_certificate_of_an_unknown_authority_is_refused(secured: Secured) -> None:
    settings = secured.settings("TLS", ssl_cafile=None)
    refused = pytest.raises(BrokerUnavailable, match="no Kafka broker answers there to SSL")
    with refused, open_admin(settings, timeout=1.0):
        pass
