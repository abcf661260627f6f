"""The vector store on a Qdrant server, by URL: REST over HTTP(S), with retries.

Written for Qdrant 1.16 and newer: from there on an upsert takes a condition (``update_filter``). An older
server would ignore it and let a stale write win, so it is refused.
"""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

import httpx
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from encoders.errors import StoreError
from exporters.qdrant_address import ServerAddress, Tls
from exporters.qdrant_conditions import AtLeast, Conditions
from exporters.qdrant_engine import Hit
from exporters.qdrant_faults import Retries, WaitTimeout
from exporters.qdrant_points import Layout, Point
from exporters.qdrant_server_types import (
    INDEX_TYPES,
    check_layout,
    conditional_upsert,
    dense_params,
    id_of,
    point_of,
    server_filter,
    sparse_params,
)
from exporters.qdrant_store import QdrantVectorStore
from exporters.vector_store import Vector

__all__ = ["ServerEngine", "ServerVectorStore", "Tls"]

OLDEST_VERSION = (1, 16)
KEPT_CONNECTIONS = 16
T = TypeVar("T")


class ServerVectorStore(QdrantVectorStore):
    """The ``VectorStore`` on the server at ``url``.

    ``timeout_s`` (seconds, rounded up to whole ones) bounds each attempt's connecting and each wait for data.
    An API key goes over plain HTTP only to this machine itself, unless ``allow_key_over_http``. Nothing is
    sent before the first call. Raises ``SettingsError`` for a URL, key or TLS file that cannot work.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 10.0,
        retries: Retries = Retries(),  # noqa: B008 - immutable
        tls: Tls | None = None,
        allow_key_over_http: bool = False,
    ) -> None:
        address = ServerAddress(url, api_key, allow_key_over_http)
        super().__init__(ServerEngine(address, timeout_s, retries, tls or Tls()))


class ServerEngine:
    """The ``Engine`` over REST."""

    shared = True

    def __init__(self, address: ServerAddress, timeout_s: float, retries: Retries, tls: Tls) -> None:
        parts = address.checked()
        self._address = f"{parts.scheme}://{parts.netloc}"
        self._retries = retries
        self._closed = False
        self._client = QdrantClient(
            url=address.url,
            # As a header: with ``api_key`` the client warns of plain HTTP even to this machine itself.
            headers={"api-key": address.api_key} if address.api_key else None,
            timeout=math.ceil(timeout_s),
            prefer_grpc=False,
            # Its own check runs in a thread, without our TLS context, and only warns; see ``_check_version``.
            check_compatibility=False,
            # Without this the client opens a new connection for every call to this machine.
            limits=httpx.Limits(max_keepalive_connections=KEPT_CONNECTIONS),
            # Plain HTTP needs no authorities, and loading them takes a tenth of a second.
            verify=tls.context() if parts.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    def __repr__(self) -> str:
        return f"ServerEngine({self._address!r})"

    def ensure(self, collection: str, layout: Layout) -> None:
        """Create the collection and its indexes where missing; refuse another layout or too old a server."""
        self._check_version()
        if not self.exists(collection):
            self._create(collection, layout)
        info = self._call(lambda: self._client.get_collection(collection))
        check_layout(collection, layout, info.config.params)
        for key, index in layout.indexes.items():
            if key not in info.payload_schema:
                self._call(
                    lambda key=key, index=index: self._client.create_payload_index(  # type: ignore[misc]
                        collection, key, INDEX_TYPES[index], wait=True
                    )
                )

    def exists(self, collection: str) -> bool:
        """Whether the collection is there."""
        return bool(self._call(lambda: self._client.collection_exists(collection)))

    def upsert_newer(self, collection: str, batch: Sequence[Point], version_key: str) -> None:
        """One request with one conditional upsert a point, applied when it returns.

        Strong ordering sends all writes through one replica: otherwise two could each let another write win.
        """
        operations = [conditional_upsert(point, version_key) for point in batch]

        def request() -> None:
            results = self._client.batch_update_points(
                collection, operations, wait=True, ordering=models.WriteOrdering.STRONG
            )
            if any(result.status != models.UpdateStatus.COMPLETED for result in results):
                raise WaitTimeout

        self._call(request)

    def retrieve(
        self, collection: str, ids: Sequence[UUID], vectors: Sequence[str], keys: Sequence[str] | None
    ) -> list[Point]:
        """The points that exist, in any order."""
        records = self._call(
            lambda: self._client.retrieve(
                collection,
                [str(id_) for id_ in ids],
                with_payload=True if keys is None else list(keys),
                with_vectors=list(vectors) or False,
            )
        )
        return [point_of(record) for record in records]

    def nearest(
        self,
        collection: str,
        vector: str,
        queries: Vector,
        limits: Sequence[int],
        where: AtLeast,
        filters: Sequence[Conditions],
    ) -> list[list[Hit]]:
        """Ids and scores of the nearest points."""
        translated = {more: server_filter((where, *more)) for more in set(filters)}
        requests = [
            models.QueryRequest(
                query=query, using=vector, limit=limit, filter=translated[more], with_payload=False
            )
            for query, limit, more in zip(queries.tolist(), limits, filters, strict=True)
        ]
        responses = self._call(lambda: self._client.query_batch_points(collection, requests))
        return [[(id_of(hit.id).int, hit.score) for hit in response.points] for response in responses]

    def scroll(
        self, collection: str, where: Conditions, vectors: Sequence[str], start: UUID | None, limit: int
    ) -> tuple[list[Point], UUID | None]:
        """One page from ``start`` on, and where the next one starts."""
        records, following = self._call(
            lambda: self._client.scroll(
                collection,
                scroll_filter=server_filter(where) if where else None,
                limit=limit,
                offset=str(start) if start else None,
                with_payload=True,
                with_vectors=list(vectors) or False,
            )
        )
        return [point_of(record) for record in records], None if following is None else id_of(following)

    def count(self, collection: str) -> int:
        """The exact number of points."""
        return self._call(lambda: self._client.count(collection, exact=True)).count

    def ping(self) -> None:
        """Return when the server answers and takes the key."""
        self._call(self._client.get_collections)

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._client.close()

    def _call(self, request: Callable[[], T]) -> T:
        if self._closed:
            raise StoreError(f"the connection to Qdrant at {self._address} is closed: open it again")
        return self._retries.call(self._address, request)

    def _check_version(self) -> None:
        version = self._call(self._client.info).version
        numbers = re.match(r"v?(\d+)\.(\d+)", version)
        if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST_VERSION:
            oldest = ".".join(map(str, OLDEST_VERSION))
            raise StoreError(f"Qdrant at {self._address} is {version}: Freshet needs {oldest} or newer")

    def _create(self, collection: str, layout: Layout) -> None:
        def request() -> None:
            try:
                self._client.create_collection(
                    collection, dense_params(layout), sparse_vectors_config=sparse_params(layout)
                )
            except UnexpectedResponse as error:
                # Another worker, or an attempt of ours whose answer was lost, made it in between.
                if error.status_code not in (400, 409) or not self._client.collection_exists(collection):
                    raise

        self._call(request)
