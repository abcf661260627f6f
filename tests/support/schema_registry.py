"""A schema registry on loopback for tests: the parts of Confluent's REST interface that Freshet asks for."""

from __future__ import annotations

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self
from urllib.parse import unquote

import fastavro

Answer = tuple[int, Any]


class FakeRegistry:
    """Schemas by subject and id. ``fault`` is answered instead of everything; ``asked`` are the requests."""

    def __init__(self, password: str | None = None) -> None:
        self.schemas: dict[int, dict[str, Any]] = {}
        self.subjects: dict[str, list[int]] = {}
        self.asked: list[str] = []
        self.fault: tuple[int, bytes] | None = None
        self._password = password
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, schema: Any, subject: str = "s-value", **fields: Any) -> int:
        """Register a schema, as a producer does; its id. ``fields``: ``schemaType``, ``references``."""
        entry = {"schema": schema if isinstance(schema, str) else json.dumps(schema), **fields}
        known = [schema_id for schema_id, one in self.schemas.items() if one == entry]
        schema_id = known[0] if known else len(self.schemas) + 101
        self.schemas[schema_id] = entry
        if schema_id not in (ids := self.subjects.setdefault(subject, [])):
            ids.append(schema_id)
        return schema_id

    def _answer(self, method: str, path: str, body: Any) -> Answer:
        match [unquote(part) for part in path.strip("/").split("/")]:
            case ["schemas", "ids", number] if method == "GET":
                known = self.schemas.get(int(number))
                return (200, known) if known else (404, _error(40403, "Schema not found"))
            case ["subjects", subject, "versions"] if method == "POST":
                more = {name: body[name] for name in ("schemaType", "references") if name in body}
                if not more.get("references") and not _is_schema(body["schema"], more.get("schemaType")):
                    return 422, _error(42201, "Invalid schema")
                return 200, {"id": self.add(body["schema"], subject, **more)}
            case ["subjects", subject] if method == "POST":
                if subject not in self.subjects:
                    return 404, _error(40401, "Subject not found")
                found = [
                    one for one in self.subjects[subject] if self.schemas[one]["schema"] == body["schema"]
                ]
                if not found:
                    return 404, _error(40403, "Schema not found")
                return 200, {"subject": subject, "id": found[0], "version": 1, **self.schemas[found[0]]}
        return 404, _error(404, "HTTP 404 Not Found")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._serve("GET")

            def do_POST(self) -> None:
                self._serve("POST")

            def _serve(self, method: str) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                registry.asked.append(f"{method} {self.path}")
                status, answer = self._judge(method, raw)
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def _judge(self, method: str, raw: bytes) -> tuple[int, bytes]:
                if registry.fault is not None:
                    return registry.fault
                if registry._password is not None:
                    wanted = base64.b64encode(f"freshet:{registry._password}".encode()).decode()
                    if self.headers.get("Authorization") != f"Basic {wanted}":
                        return 401, json.dumps(_error(40101, "Unauthorized")).encode()
                status, answer = registry._answer(method, self.path, json.loads(raw or b"null"))
                return status, json.dumps(answer).encode()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _is_schema(text: str, kind: str | None) -> bool:
    """Whether Avro takes it; of other kinds nothing is asked."""
    if kind not in (None, "AVRO"):
        return True
    try:
        fastavro.parse_schema(json.loads(text))
    except (ValueError, fastavro.schema.UnknownType):
        return False
    return True


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error_code": code, "message": message}
