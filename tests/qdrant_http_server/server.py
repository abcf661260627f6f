"""A process that answers the part of Qdrant's REST interface that Freshet uses, from the engine in process.

For tests: sockets, timeouts, refusals and lost answers are real, and bodies are read with
``qdrant_client.models``, so that a malformed request is refused as a Qdrant server refuses it. It listens on
loopback only. Run it as a script::

    python tests/qdrant_http_server/server.py --port 0 --path FOLDER [--api-key KEY] [--fault-share 0.05]

It prints ``ready PORT`` when it listens. Faults are set by options or, while it runs, by ``POST /_faults``
with the fields of ``Faults``; ``GET /_calls`` tells how many calls came in since, by path, and how many were
made to fail (``faults``); ``POST /_reset`` forgets every collection. SIGTERM and SIGINT close it cleanly.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import ssl
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import qdrant_edge as edge
from aiohttp import web
from pydantic import BaseModel, ValidationError
from qdrant_client import models

from encoders.errors import StoreError
from exporters.qdrant_conditions import AnyOf, AtLeast, AtMost, Condition, Conditions, NoneOf
from exporters.qdrant_edge_engine import EdgeEngine
from exporters.qdrant_edge_types import INDEX_TYPES
from exporters.qdrant_points import Index, Layout, Point, Sparse

VERSION = "1.16.0"
INDEXES: dict[edge.PayloadSchemaType, Index] = {type_: index for index, type_ in INDEX_TYPES.items()}
MAX_BODY_BYTES = 32 * 1024 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
M = TypeVar("M", bound=BaseModel)


class Refused(Exception):
    """A request that a Qdrant server answers with a 4xx."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass
class Faults:
    """Which calls fail, and how.

    ``share`` of the calls whose path contains ``path`` fail, at most ``times`` of them (None: no end), by
    ``kind``: ``refuse`` (answer ``status`` without doing anything), ``lose`` (do it, then answer ``status``),
    ``drop`` (close the connection without doing anything), ``drop_after`` (do it, then close the connection),
    ``slow`` (wait ``delay_s``, then do it), ``garbage`` (answer with something that is not Qdrant's),
    ``wait_timeout`` (do an update and say that it is not known whether it was done).
    """

    share: float = 0.0
    kind: str = "refuse"
    status: int = 503
    retry_after: str | None = None
    delay_s: float = 0.0
    path: str = ""
    times: int | None = None
    seed: int = 0
    version: str = VERSION
    random: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def strike(self, path: str) -> bool:
        if self.path not in path or self.times == 0 or self.random.random() >= self.share:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Server:
    """The application's state: engine, threads, faults, counts."""

    def __init__(self, folder: Path, api_key: str | None, faults: Faults) -> None:
        self.engine = EdgeEngine(folder)
        self.api_key = api_key
        self.faults = faults
        self.calls: Counter[str] = Counter()
        self.layouts: dict[str, Layout] = {}
        self.threads = ThreadPoolExecutor(4)

    def application(self) -> web.Application:
        application = web.Application(
            client_max_size=MAX_BODY_BYTES, middlewares=[self.answer_errors, self.check_key, self.inject]
        )
        application.add_routes(
            [
                web.get("/", self.version),
                web.get("/healthz", self.health),
                web.get("/readyz", self.health),
                web.get("/_calls", self.count_calls),
                web.post("/_faults", self.set_faults),
                web.post("/_reset", self.reset),
                web.get("/collections", self.list_collections),
                web.get("/collections/{name}", self.describe),
                web.put("/collections/{name}", self.create),
                web.get("/collections/{name}/exists", self.exists),
                web.put("/collections/{name}/index", self.create_index),
                web.post("/collections/{name}/points/batch", self.update),
                web.post("/collections/{name}/points/query/batch", self.query),
                web.post("/collections/{name}/points/scroll", self.scroll),
                web.post("/collections/{name}/points/count", self.count),
                web.post("/collections/{name}/points", self.retrieve),
            ]
        )
        application.on_cleanup.append(self.close)
        return application

    async def close(self, application: web.Application) -> None:
        self.threads.shutdown(wait=True)
        self.engine.close()

    # -- around every call

    @web.middleware
    async def answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.calls[request.path] += 1
        try:
            return await handler(request)
        except Refused as refused:
            return failure(str(refused), refused.status)
        except ValidationError as error:
            return failure(f"Format error in JSON body: {error.error_count()} errors", 400)
        except StoreError as error:
            return failure(f"Wrong input: {error}", 400)

    @web.middleware
    async def check_key(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        public = request.path.startswith(("/_", "/healthz", "/readyz"))
        if self.api_key and not public and request.headers.get("api-key") != self.api_key:
            raise Refused("Must provide an API key or an Authorization bearer token", 401)
        return await handler(request)

    @web.middleware
    async def inject(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        faults = self.faults
        if request.path.startswith("/_") or not faults.strike(request.path):
            return await handler(request)
        self.calls["faults"] += 1
        await asyncio.sleep(faults.delay_s)
        if faults.kind in ("lose", "drop_after", "slow"):
            answer = await handler(request)
        if faults.kind == "slow":
            return answer
        if faults.kind in ("drop", "drop_after"):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if faults.kind == "garbage":
            return web.Response(text="<html>not Qdrant</html>")
        if faults.kind == "wait_timeout":
            await handler(request)
            return success([{"operation_id": 0, "status": "wait_timeout"}])
        headers = {"Retry-After": faults.retry_after} if faults.retry_after else None
        return failure("Service internal error: injected", faults.status, headers)

    async def in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, call, *arguments)

    # -- service

    async def version(self, request: web.Request) -> web.Response:
        return web.json_response({"title": "qdrant - vector search engine", "version": self.faults.version})

    async def health(self, request: web.Request) -> web.Response:
        return web.Response(text="healthz check passed")

    async def count_calls(self, request: web.Request) -> web.Response:
        return web.json_response(dict(self.calls))

    async def set_faults(self, request: web.Request) -> web.Response:
        self.faults = Faults(**await request.json())
        self.calls.clear()
        return success(True)

    async def reset(self, request: web.Request) -> web.Response:
        self.engine.close()
        self.layouts.clear()
        self.faults = Faults()
        shutil.rmtree(self.engine._path)
        self.engine = EdgeEngine(self.engine._path)
        return success(True)

    # -- collections

    def folder(self, name: str) -> Path:
        return self.engine._path / name

    def layout_file(self, name: str) -> Path:
        return self.folder(name) / "layout.json"

    def layout(self, name: str) -> Layout:
        if name not in self.layouts:
            file = self.layout_file(name)
            if not file.is_file():
                raise Refused(f"Not found: Collection `{name}` doesn't exist!", 404)
            layout = layout_of(models.CreateCollection.model_validate_json(file.read_bytes()))
            self.engine.ensure(name, layout)
            self.layouts[name] = layout
        return self.layouts[name]

    async def list_collections(self, request: web.Request) -> web.Response:
        names = [file.parent.name for file in self.engine._path.glob("*/layout.json")]
        return success({"collections": [{"name": name} for name in names]})

    async def exists(self, request: web.Request) -> web.Response:
        return success({"exists": self.layout_file(request.match_info["name"]).is_file()})

    async def create(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if self.layout_file(name).is_file():
            raise Refused(f"Wrong input: Collection `{name}` already exists!", 409)
        created = models.CreateCollection.model_validate_json(await request.read())
        await self.in_thread(self.engine.ensure, name, layout_of(created))
        self.layout_file(name).write_text(created.model_dump_json(exclude_unset=True))
        return success(True)

    async def describe(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        layout = self.layout(name)
        indexes = await self.in_thread(self.indexes, name)
        return success(
            {
                "status": "green",
                "optimizer_status": "ok",
                "points_count": await self.in_thread(self.engine.count, name),
                "segments_count": 1,
                "config": {
                    "params": {
                        "vectors": {
                            vector: {"size": size, "distance": "Dot"} for vector, size in layout.sizes.items()
                        },
                        "sparse_vectors": {vector: {} for vector in layout.sparse},
                    },
                    "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
                    "optimizer_config": {
                        "deleted_threshold": 0.2,
                        "vacuum_min_vector_number": 1000,
                        "default_segment_number": 0,
                        "flush_interval_sec": 5,
                    },
                    "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
                },
                "payload_schema": {key: {"data_type": index, "points": 0} for key, index in indexes.items()},
            }
        )

    def indexes(self, name: str) -> dict[str, Index]:
        schema = self.engine._shard(name).info().payload_schema
        return {key: INDEXES[info.data_type] for key, info in schema.items()}

    async def create_index(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        wanted = models.CreateFieldIndex.model_validate_json(await request.read())
        if wanted.field_schema not in list(INDEXES.values()):
            raise Refused("only indexes of integers, floats and keywords are served here")
        index: Index = wanted.field_schema.value
        indexes = {**await self.in_thread(self.indexes, name), wanted.field_name: index}
        await self.in_thread(self.engine.ensure, name, replace(self.layout(name), indexes=indexes))
        return success({"operation_id": 0, "status": "completed"})

    # -- points

    async def update(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.layout(name)
        if request.query.get("wait") != "true":
            raise Refused("a call that does not wait is not served here: Freshet always waits")
        body = await request.read()
        count = await self.in_thread(self.apply, name, body)
        return success([{"operation_id": number, "status": "completed"} for number in range(count)])

    def apply(self, name: str, body: bytes) -> int:
        """Apply the operations in their order, each on its own, as Qdrant does: no transaction."""
        operations = models.UpdateOperations.model_validate_json(body).operations
        for operation in operations:
            if not isinstance(operation, models.UpsertOperation):
                raise Refused("only upserts are served here")
            upsert = operation.upsert
            if not isinstance(upsert, models.PointsList) or len(upsert.points) != 1:
                raise Refused("only upserts of one point each are served here")
            self.upsert(name, upsert.points[0], upsert.update_filter)
        return len(operations)

    def upsert(self, name: str, struct: models.PointStruct, condition: models.Filter | None) -> None:
        field_condition, limits = version_range(condition)
        payload = struct.payload or {}
        if limits.lt is None or limits.lt != payload.get(field_condition):
            raise Refused("only upserts on the condition of a lower version are served here")
        self.engine.upsert_newer(name, [point_of(struct)], field_condition)

    async def retrieve(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.layout(name)
        wanted = models.PointRequest.model_validate_json(await request.read())
        keys = wanted.with_payload if isinstance(wanted.with_payload, list) else None
        found = await self.in_thread(
            self.engine.retrieve, name, [UUID(str(id_)) for id_ in wanted.ids], vectors_of(wanted), keys
        )
        return success([record_of(point) for point in found])

    async def query(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        layout = self.layout(name)
        searches = models.QueryRequestBatch.model_validate_json(await request.read()).searches
        for search in searches:
            if len(vector_of(search)) != layout.sizes.get(search.using or ""):
                raise Refused(f"Wrong input: Vector dimension error: {layout.sizes}")
        hits = await self.in_thread(self.search, name, searches)
        return success(
            [
                {"points": [{"id": str(UUID(int=id_)), "version": 0, "score": score} for id_, score in found]}
                for found in hits
            ]
        )

    def search(self, name: str, searches: list[models.QueryRequest]) -> list[list[tuple[int, float]]]:
        (using,) = {search.using for search in searches}
        # ``available`` comes first in every filter: see ``ServerEngine.nearest``.
        conditions = [conditions_of(search.filter) for search in searches]
        (where,) = {first for first, *_ in conditions}
        queries = np.array([vector_of(search) for search in searches], dtype=np.float32)
        assert using is not None
        assert isinstance(where, AtLeast)
        limits = [search.limit or 10 for search in searches]
        return self.engine.nearest(name, using, queries, limits, where, [more[1:] for more in conditions])

    async def scroll(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.layout(name)
        wanted = models.ScrollRequest.model_validate_json(await request.read())
        start = UUID(str(wanted.offset)) if wanted.offset is not None else None
        page, following = await self.in_thread(
            self.engine.scroll,
            name,
            conditions_of(wanted.filter),
            vectors_of(wanted),
            start,
            wanted.limit or 10,
        )
        return success(
            {
                "points": [record_of(point) for point in page],
                "next_page_offset": str(following) if following else None,
            }
        )

    async def count(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.layout(name)
        wanted = models.CountRequest.model_validate_json(await request.read())
        if not wanted.exact:
            raise Refused("only exact counts are served here")
        return success({"count": await self.in_thread(self.engine.count, name)})


def success(result: Any) -> web.Response:
    return web.json_response({"result": result, "status": "ok", "time": 0.0})


def failure(reason: str, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"status": {"error": reason}, "time": 0.0}, status=status, headers=headers)


def layout_of(created: models.CreateCollection) -> Layout:
    if not isinstance(created.vectors, dict):
        raise Refused("only named vectors are served here")
    if any(params.distance != models.Distance.DOT for params in created.vectors.values()):
        raise Refused("only dot products are served here")
    searched = {
        name
        for name, params in created.vectors.items()
        if params.hnsw_config is None or params.hnsw_config.m != 0
    }
    sizes = {name: params.size for name, params in created.vectors.items()}
    return Layout(sizes, frozenset(searched), tuple(created.sparse_vectors or ()))


def version_range(condition: models.Filter | None) -> tuple[str, models.Range]:
    """The one form of a write's condition that is served: ``must`` with one range of one key."""
    must = condition.must if condition else None
    if not isinstance(must, list) or len(must) != 1 or not isinstance(must[0], models.FieldCondition):
        raise Refused("this condition is not served here")
    if not isinstance(must[0].range, models.Range):
        raise Refused("only ranges of numbers are served here")
    return must[0].key, must[0].range


def conditions_of(wanted: models.Filter | None) -> Conditions:
    """What a filter asks for: ranges with one bound and lists of strings, in ``must`` and ``must_not``."""
    if wanted is None:
        return ()
    if wanted.should or wanted.min_should:
        raise Refused("only must and must_not are served here")
    excluded = [NoneOf(one.key, one.values) for one in map(condition_of, wanted.must_not or ())]
    return (*map(condition_of, wanted.must or ()), *excluded)


def condition_of(wanted: Any) -> Condition:
    if isinstance(wanted, models.FieldCondition):
        if isinstance(wanted.match, models.MatchAny):
            return AnyOf(wanted.key, tuple(wanted.match.any))
        if isinstance(wanted.range, models.Range) and wanted.range.gte is not None:
            return AtLeast(wanted.key, wanted.range.gte)
        if isinstance(wanted.range, models.Range) and wanted.range.lte is not None:
            return AtMost(wanted.key, wanted.range.lte)
    raise Refused("this condition is not served here")


def point_of(struct: models.PointStruct) -> Point:
    if not isinstance(struct.vector, dict):
        raise Refused("only named vectors are served here")
    dense, sparse = {}, {}
    for name, vector in struct.vector.items():
        if isinstance(vector, models.SparseVector):
            if len(set(vector.indices)) < len(vector.indices):
                raise Refused("Validation error in JSON body: must be unique", 422)
            sparse[name] = Sparse.of(vector.indices, vector.values)
        else:
            dense[name] = np.array(vector, dtype=np.float32)
    return Point(UUID(str(struct.id)), struct.payload or {}, dense, sparse)


def vector_of(search: models.QueryRequest) -> list[float]:
    query = search.query.nearest if isinstance(search.query, models.NearestQuery) else search.query
    if not isinstance(query, list) or not all(isinstance(number, float) for number in query):
        raise Refused("only queries by a vector are served here")
    return query  # type: ignore[return-value]


def vectors_of(wanted: models.PointRequest | models.ScrollRequest) -> list[str]:
    return wanted.with_vector if isinstance(wanted.with_vector, list) else []


def record_of(point: Point) -> dict[str, Any]:
    sparse = {
        name: {"indices": vector.dimensions.tolist(), "values": vector.weights.tolist()}
        for name, vector in point.sparse.items()
    }
    return {
        "id": str(point.id),
        "payload": point.payload,
        "vector": {name: vector.tolist() for name, vector in point.vectors.items()} | sparse,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--path", type=Path, help="folder of the vectors; a temporary one where left out")
    parser.add_argument("--api-key", default=None)
    parser.add_argument("--certificate", type=Path, help="PEM; serves HTTPS")
    parser.add_argument("--key", type=Path, help="PEM")
    parser.add_argument("--fault-share", type=float, default=0.0)
    parser.add_argument("--fault-kind", default="refuse")
    parser.add_argument("--fault-status", type=int, default=503)
    parser.add_argument("--fault-path", default="")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


async def serve(options: argparse.Namespace, folder: Path) -> None:
    faults = Faults(
        share=options.fault_share,
        kind=options.fault_kind,
        status=options.fault_status,
        path=options.fault_path,
        seed=options.seed,
    )
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    runner = web.AppRunner(Server(folder, options.api_key, faults).application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", options.port, ssl_context=context)
    await site.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"ready {runner.addresses[0][1]}", flush=True)
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(serve(options, options.path or Path(temporary)))


if __name__ == "__main__":
    main()
