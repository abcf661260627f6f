"""The playground's state, and its answers: what is known from the topics joined with what the worker says."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import msgspec

from encoders.errors import ModelNotFound
from encoders.events import Item
from exporters.model_store import resolve_model
from exporters.publisher import Headers
from streams.codec import Limits, Rejected, decode_item
from streams.http_errors import Refused
from streams.recommendation_format import read_recommendation
from streams.schema_registry import avro_reader
from streams.settings import Settings
from streams.ui.feed import CATALOGUE, LISTS, Feed
from streams.ui.hub import Hub, Notice
from streams.ui.sender import Action, Sender
from streams.ui.shelf import Shelf
from streams.ui.training import last_training
from streams.ui.visitors import Visitors
from streams.ui.words import DID, interests_in_words, reason_in_words
from streams.ui.worker import AWAY, WorkerClient

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.5
SHOWN_VISITORS = 30


class Playground:
    """Everything behind the page; all but the feed belongs to the event loop's thread."""

    def __init__(self, settings: Settings, worker: WorkerClient, sender: Sender, models: Path) -> None:
        self.hub = Hub()
        self._settings = settings
        self._worker = worker
        self._models = models
        self._shelf = Shelf(settings.ui.max_items)
        self._visitors = Visitors()
        self._limits = Limits(settings.input.max_value_bytes)
        self._avro = avro_reader(settings.codec)
        self._sender = sender
        self._feed = Feed(settings.kafka, self.take)
        self._status: dict[str, Any] = self._facts(AWAY, None)

    async def start(self) -> None:
        """Follow the topics and the worker."""
        self._loop = asyncio.get_running_loop()
        self._feed.start()
        self._refreshing = asyncio.create_task(self._refresh())

    async def stop(self) -> None:
        """End the open pages, then everything else."""
        self.hub.close()
        self._refreshing.cancel()
        await asyncio.to_thread(self._feed.stop)
        await self._sender.close()

    @property
    def status(self) -> dict[str, Any]:
        """How broker, catalogue, worker and training are; who was here lately."""
        return self._status

    async def shopper(self, user_id: str) -> dict[str, Any]:
        """A shopper's list, history and interests as the worker knows them now. Raises ``Refused``."""
        answer, profile = await asyncio.gather(
            self._worker.recommendations(user_id, self._settings.ui.scenario), self._worker.profile(user_id)
        )
        return {
            "user_id": user_id,
            "basis": answer["basis"],
            "list": self._list(answer["items"], answer["model_version"]),
        } | self._profile(profile)

    async def item_map(self) -> dict[str, Any]:
        """The worker's map, with titles. Raises ``Refused``."""
        found = await self._worker.item_map()
        for one in found["items"]:
            one["title"] = self._shelf.title(one["item_id"])
        return found

    def search(self, text: str, limit: int) -> list[dict[str, Any]]:
        """Items to click on."""
        return [_facts_of(item) for item in self._shelf.search(text, limit)]

    async def send(self, user_id: str, item_id: str, action: Action) -> str:
        """Send an event to Kafka; its id. Raises ``Refused`` for an unknown item, and ``BrokerError``."""
        item = self._shelf.find(item_id)
        if item is None and not self._shelf.full:
            raise Refused(404, f"there is no item {item_id!r} in the catalogue")
        return await self._sender.send(user_id, item_id, action, item.price if item else None)

    def take(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> None:
        """A message of the feed, in its thread."""
        if topic == CATALOGUE:
            item = decode_item(key, value, self._limits, headers, self._avro)
            if not isinstance(item, Rejected):
                self._shelf.take(item)
        elif topic == LISTS:
            received = time.time_ns() // 1_000_000
            if self._avro is not None:
                self._avro.learn(self._avro.unknown([value]))  # Here, where it may block.
            self._loop.call_soon_threadsafe(self._published, key, value, received)
        elif key and len(key) <= 256:
            self._visitors.saw(key.decode("utf-8", errors="replace"))

    def _published(self, key: bytes | None, value: bytes | None, received: int) -> None:
        """Tell the pages of this user; the others' lists are not even parsed."""
        if not key or not value or not self.hub.watches(key.decode("utf-8", errors="replace")):
            return
        message = read_recommendation(value, self._avro)
        if isinstance(message, Rejected):
            log.warning("a message on %s cannot be read: %s", LISTS, message.error)
            return
        if message.scenario == self._settings.ui.scenario:
            items = msgspec.to_builtins(message.items)
            data = self._list(items, message.model_version) | {
                "event_id": message.trigger.event_id,
                "event_to_list_ms": received - message.event_time,
            }
            self.hub.tell_user(message.user_id, Notice("list", data))

    async def _refresh(self) -> None:
        while True:
            try:
                training = await asyncio.to_thread(last_training, self._models)
                self._status = self._facts(await self._worker.status(), training)
                self.hub.tell_all(Notice("status", self._status))
            except Exception:
                log.exception("the status cannot be refreshed")
            await asyncio.sleep(REFRESH_SECONDS)

    def _facts(self, worker: Any, training: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "broker": {"state": self._feed.state, "fault": self._feed.fault},
            "catalogue": {"items": len(self._shelf), "full": self._shelf.full},
            "worker": {"url": self._worker.url, **msgspec.to_builtins(worker)},
            "hint": self._hint(worker.state),
            "training": training,
            "visitors": [{"user_id": one, "events": n} for one, n in self._visitors.latest(SHOWN_VISITORS)],
        }

    def _hint(self, worker_state: str) -> str:
        """What to do where no worker answers: one on this machine may have no model."""
        if worker_state != "away":
            return ""
        if self._settings.ui.worker_url is not None:
            return f"no worker answers at {self._worker.url}: is it up, and is this its address?"
        try:
            resolve_model(self._settings.model.path)
        except ModelNotFound as error:
            return str(error)
        except Exception:
            return ""
        return f"no worker answers at {self._worker.url}: start one with `freshet worker`"

    def _list(self, items: list[dict[str, Any]], model_version: str) -> dict[str, Any]:
        return {"model_version": model_version, "items": [self._listed(one) for one in items]}

    def _listed(self, one: dict[str, Any]) -> dict[str, Any]:
        known = self._shelf.find(one["item_id"])
        facts = _facts_of(known) if known else _unknown(one["item_id"], one.get("title"))
        return facts | {"score": one["score"], "why": reason_in_words(one["reason"], self._shelf.title)}

    def _profile(self, profile: dict[str, Any]) -> dict[str, Any]:
        history = [
            {
                "item_id": one["item_id"],
                "title": self._shelf.title(one["item_id"]),
                "did": DID.get(one["event_type"], one["event_type"]),
                "timestamp": one["timestamp"],
            }
            for one in profile["history"]
        ]
        return {
            "events": profile["events"],
            "history": history,
            "interests": profile["interests"],
            "summary": interests_in_words(profile["interests"], profile["events"]),
            "position": profile["position"],
            "layout": profile["layout"],
        }


def _facts_of(item: Item) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "title": item.title or item.item_id,
        "categories": item.categories,
        "price": item.price,
    }


def _unknown(item_id: str, title: str | None) -> dict[str, Any]:
    return {"item_id": item_id, "title": title or item_id, "categories": [], "price": None}
