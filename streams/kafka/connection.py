"""From ``KafkaSettings`` to what each client wants: kafka-python, aiokafka and Faust.

The options hold the password, as the clients need it, but never show it: their ``repr`` has ``***``.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, KafkaTimeoutError

from encoders.errors import BrokerError, BrokerUnavailable, SettingsError
from streams.settings import KafkaSettings

if TYPE_CHECKING:
    from faust.types.auth import CredentialsT

T = TypeVar("T")

API_VERSION = (2, 1)
"""The oldest that Kafka 4 still speaks, and the newest that kafka-python speaks with the demo broker."""

CONNECT_SECONDS = 5.0
PROBE_SECONDS = 2.0


class Secret(str):
    """A password that clients can use and logs cannot show: its ``repr`` is ``***``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def kafka_python_options(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for every class of kafka-python. Raises ``SettingsError``."""
    return {"bootstrap_servers": _servers(settings), "api_version": API_VERSION, **_security(settings)}


def aiokafka_options(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for aiokafka's producer and consumer. Raises ``SettingsError``."""
    return {"bootstrap_servers": _servers(settings), **_security(settings)}


def faust_broker(settings: KafkaSettings) -> str:
    """Faust's ``broker`` setting: ``kafka://HOST:PORT;kafka://HOST:PORT``. Raises ``SettingsError``."""
    return ";".join(f"kafka://{server}" for server in _servers(settings))


def faust_credentials(settings: KafkaSettings) -> CredentialsT | None:
    """Faust's ``broker_credentials``; ``None`` without security. Raises ``SettingsError``."""
    import faust

    options = _security(settings)
    context = options.get("ssl_context")
    if "sasl_mechanism" in options:
        credentials: CredentialsT = faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
        return credentials
    return faust.SSLCredentials(context) if context else None


def connect(
    make: Callable[..., T], settings: KafkaSettings, timeout: float = CONNECT_SECONDS, **more: Any
) -> T:
    """A client of kafka-python, of the class ``make``, connected within ``timeout`` seconds.

    Raises ``SettingsError``, and ``BrokerUnavailable`` where nothing answers.
    """
    options = kafka_python_options(settings) | more
    check_reachable(settings)
    try:
        return make(**options, bootstrap_timeout_ms=int(timeout * 1000))
    except KafkaError:
        raise BrokerUnavailable(_no_answer(settings)) from None


@contextmanager
def open_admin(settings: KafkaSettings, timeout: float = CONNECT_SECONDS) -> Iterator[KafkaAdminClient]:
    """An admin client of kafka-python, closed at the end; raises as :func:`connect` does.

    Every error of Kafka inside the block becomes a ``BrokerError``.
    """
    with closing(connect(KafkaAdminClient, settings, timeout)) as admin, translated(settings):
        yield admin


@contextmanager
def translated(settings: KafkaSettings) -> Iterator[None]:
    """Turn kafka-python's errors into ours: ``BrokerUnavailable`` for what may pass, else ``BrokerError``."""
    try:
        yield
    except KafkaError as error:
        passing = isinstance(error, KafkaTimeoutError) or getattr(error, "retriable", False)
        kind = BrokerUnavailable if passing else BrokerError
        raise kind(f"Kafka at {settings.bootstrap_servers}: {error}") from error


def check_reachable(settings: KafkaSettings) -> None:
    """Raise ``BrokerUnavailable`` where no address accepts a connection (``PROBE_SECONDS`` each)."""
    for server in _servers(settings):
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PROBE_SECONDS).close()
            return
        except OSError:
            continue
    raise BrokerUnavailable(
        f"no Kafka broker answers at {settings.bootstrap_servers}: start one with `freshet broker --kafka`,"
        " or set FRESHET_KAFKA__BOOTSTRAP_SERVERS"
    )


def _no_answer(settings: KafkaSettings) -> str:
    """What to say of an address that accepts connections but not us."""
    user = f" as {settings.sasl_username}" if settings.sasl_username else ""
    return (
        f"{settings.bootstrap_servers} accepts connections, but no Kafka broker answers there to"
        f" {settings.security_protocol}{user}: check FRESHET_KAFKA__SECURITY_PROTOCOL and the credentials"
    )


def _servers(settings: KafkaSettings) -> list[str]:
    servers = [part.strip() for part in settings.bootstrap_servers.split(",") if part.strip()]
    for server in servers:
        host, _, port = server.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise SettingsError(f"FRESHET_KAFKA__BOOTSTRAP_SERVERS: {server!r} is not HOST:PORT")
    if not servers:
        raise SettingsError(
            "FRESHET_KAFKA__BOOTSTRAP_SERVERS names no broker: HOST:PORT, separated by commas"
        )
    return servers


def _security(settings: KafkaSettings) -> dict[str, Any]:
    """The options that aiokafka and kafka-python share, word for word."""
    options: dict[str, Any] = {"security_protocol": settings.security_protocol}
    return options | _sasl(settings) | _tls(settings)


def _sasl(settings: KafkaSettings) -> dict[str, Any]:
    username, password = settings.sasl_username, settings.sasl_password
    if not settings.security_protocol.startswith("SASL"):
        # Credentials that are given and not used are a mistake that nobody would see.
        if username or password:
            raise SettingsError(
                "FRESHET_KAFKA__SASL_USERNAME and _PASSWORD are set but not used: set"
                " FRESHET_KAFKA__SECURITY_PROTOCOL to SASL_SSL or SASL_PLAINTEXT"
            )
        return {}
    if not username or not password:
        raise SettingsError(
            f"FRESHET_KAFKA__SECURITY_PROTOCOL {settings.security_protocol} needs"
            " FRESHET_KAFKA__SASL_USERNAME and FRESHET_KAFKA__SASL_PASSWORD"
        )
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": username,
        "sasl_plain_password": Secret(password.get_secret_value()),
    }


def _tls(settings: KafkaSettings) -> dict[str, Any]:
    files = (settings.ssl_cafile, settings.ssl_certfile, settings.ssl_keyfile)
    if not settings.security_protocol.endswith("SSL"):
        if any(files):
            raise SettingsError(
                "FRESHET_KAFKA__SSL_* files are named but not used: set"
                " FRESHET_KAFKA__SECURITY_PROTOCOL to SSL or SASL_SSL"
            )
        return {}
    if settings.ssl_keyfile and not settings.ssl_certfile:
        raise SettingsError("FRESHET_KAFKA__SSL_KEYFILE needs FRESHET_KAFKA__SSL_CERTFILE")
    for file in files:
        _check_readable(file)
    return {"ssl_context": _ssl_context(settings)}


def _check_readable(file: Path | None) -> None:
    if file is not None and not file.is_file():
        raise SettingsError(f"FRESHET_KAFKA__SSL_* names {file}, and there is no such file")


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    """Verifies the broker's certificate and host name; with the system's authorities where none is named."""
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile)
        if settings.ssl_certfile is not None:
            # A key with a passphrase would otherwise ask for it on the terminal.
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, password="")
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(f"FRESHET_KAFKA__SSL_* files cannot be used: {error}") from None
    return context
