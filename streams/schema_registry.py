"""A schema registry with Confluent's REST interface: schemas by id, and ours registered under a subject."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import msgspec

from encoders.errors import BrokerError, BrokerUnavailable, SettingsError
from streams.codec import Rejected
from streams.fold_types import Received
from streams.serving import Serving
from streams.settings_sections import CodecSettings

if TYPE_CHECKING:
    from streams.avro import AvroReader

MAX_ANSWER_BYTES = 1_048_576
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
PASSING = (408, 425, 429)


class _Answer(msgspec.Struct):
    """What the registry answers: a schema, an id, or an error."""

    schema: str = ""
    id: int | None = None
    schema_type: str = msgspec.field(default="AVRO", name="schemaType")
    references: list[Any] = []
    error_code: int = 0
    message: str = ""


_decoder = msgspec.json.Decoder(_Answer)


class SchemaRegistry:
    """Asks a registry over HTTP; every call blocks, for ``registry_timeout_seconds`` at most. Thread-safe."""

    def __init__(self, settings: CodecSettings) -> None:
        """Connects when first asked; ``settings.registry_url`` is there. Raises ``SettingsError``."""
        assert settings.registry_url is not None
        self._url = settings.registry_url.rstrip("/")
        username, password = settings.registry_username, settings.registry_password
        if username and password is None:
            raise SettingsError(f"FRESHET_CODEC__REGISTRY_PASSWORD is not set, and {username} needs one")
        auth = (username, password.get_secret_value()) if username and password else None
        try:
            tls = ssl.create_default_context(cafile=settings.registry_ca_file)
        except OSError as error:
            raise SettingsError(f"FRESHET_CODEC__REGISTRY_CA_FILE cannot be used: {error}") from None
        self._client = httpx.Client(
            auth=auth,
            timeout=settings.registry_timeout_seconds,
            headers={"Accept": CONTENT_TYPE, "Content-Type": CONTENT_TYPE},
            transport=httpx.HTTPTransport(retries=1, verify=tls),
        )

    def fetch(self, schema_id: int) -> str | Rejected:
        """The text of an Avro schema, or why there is none to read by.

        Raises ``BrokerUnavailable`` where the registry does not answer, ``BrokerError`` where it refuses.
        """
        status, answer = self._ask("GET", f"/schemas/ids/{schema_id}")
        if status == 404:
            return Rejected("unknown_schema", f"the registry has no schema {schema_id}")
        if answer.schema_type != "AVRO":
            return Rejected("unknown_schema", f"schema {schema_id} is {answer.schema_type}, not Avro")
        if answer.references:
            return Rejected("unknown_schema", f"schema {schema_id} refers to others: put it into one")
        return answer.schema

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        """Register a schema, or find it where it is; its id. Raises as :meth:`fetch`."""
        return self._id_of(subject, schema, "/versions")

    def find(self, subject: str, schema: dict[str, Any]) -> int:
        """The id of a schema that is registered already. Raises as :meth:`fetch`."""
        return self._id_of(subject, schema, "")

    def _id_of(self, subject: str, schema: dict[str, Any], path: str) -> int:
        body = {"schema": json.dumps(schema), "schemaType": "AVRO"}
        status, answer = self._ask("POST", f"/subjects/{quote(subject, safe='')}{path}", body)
        if answer.id is None:
            raise BrokerError(
                f"the schema registry at {self._url} does not have the schema of {subject}: register what"
                f" `freshet schema --avro` prints, or set FRESHET_CODEC__REGISTER_SCHEMA (HTTP {status})"
            )
        return answer.id

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, _Answer]:
        """Status and answer, where it is 200 or the registry's own 404."""
        try:
            with self._client.stream(method, self._url + path, json=body) as response:
                status, text = response.status_code, _bounded(response)
        except httpx.HTTPError as error:
            said = f"{type(error).__name__} {error}".strip()
            raise BrokerUnavailable(f"the schema registry at {self._url} does not answer: {said}") from None
        if status >= 500 or status in PASSING:
            raise BrokerUnavailable(f"the schema registry at {self._url} is not well: HTTP {status}")
        if status in (401, 403):
            raise BrokerError(
                f"the schema registry at {self._url} refuses this user (HTTP {status}):"
                " check FRESHET_CODEC__REGISTRY_USERNAME and its password"
            )
        try:
            answer = _decoder.decode(text)
        except msgspec.DecodeError:
            raise BrokerError(
                f"{self._url} answers like no schema registry (HTTP {status}):"
                " check FRESHET_CODEC__REGISTRY_URL"
            ) from None
        if status == 200 or (status == 404 and 40_400 <= answer.error_code < 40_500):
            return status, answer
        raise BrokerError(
            f"the schema registry at {self._url} refuses {path}: HTTP {status}, {answer.message[:300]}"
        )


def _bounded(response: httpx.Response) -> bytes:
    body = b""
    for part in response.iter_bytes():
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise httpx.DecodingError(f"more than {MAX_ANSWER_BYTES} bytes")
    return body


async def learn_schemas(serving: Serving, avro: AvroReader | None, messages: Sequence[Received]) -> None:
    """Fetch, off the event loop, the schemas that these messages need. Raises ``BrokerUnavailable``."""
    if avro is not None and (unknown := avro.unknown(one.value for one in messages)):
        await serving.in_thread(avro.learn, unknown)


def avro_reader(settings: CodecSettings) -> AvroReader | None:
    """What reads Avro values by a registry's schemas; ``None`` where no registry is named.

    Raises ``SettingsError`` where the extra ``avro`` is not installed.
    """
    if settings.registry_url is None:
        return None
    try:
        from streams.avro import AvroReader
    except ModuleNotFoundError:
        raise SettingsError(
            "FRESHET_CODEC__REGISTRY_URL needs the extra avro: pip install 'freshet[avro]'"
        ) from None
    return AvroReader(SchemaRegistry(settings).fetch)
