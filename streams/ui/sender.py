"""Clicks and purchases of the page's visitor, onto the topics as any shop sends them."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, get_args
from uuid import uuid4

from encoders.errors import BrokerError
from encoders.events import EventType, Interaction
from streams.codec import encode_interaction
from streams.kafka.producer import EventProducer
from streams.settings import KafkaSettings

DELIVERY_SECONDS = 5.0

Action = Literal["click", "purchase", "dislike"]
ACTIONS: tuple[Action, ...] = get_args(Action)


class Sender:
    """Sends one event at a time, sure of its delivery; connects when first needed, and anew after a fault."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        # The producer is for one thread.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sender")
        self._producer: EventProducer | None = None

    async def send(self, user_id: str, item_id: str, action: Action, price: float | None) -> str:
        """Send an event of now; returns its id when it is delivered. Raises ``BrokerError``."""
        event = Interaction(
            user_id,
            item_id,
            EventType[action.upper()],
            time.time_ns() // 1_000_000,
            f"ui-{uuid4().hex}",
            price=price,
        )
        await asyncio.get_running_loop().run_in_executor(self._thread, self._deliver, event)
        return event.event_id

    async def close(self) -> None:
        """Close the connection."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._forget)
        self._thread.shutdown()

    def _deliver(self, event: Interaction) -> None:
        try:
            if self._producer is None:
                self._producer = EventProducer(self._settings, delivery_seconds=DELIVERY_SECONDS)
            self._producer.send(*encode_interaction(event))
            self._producer.flush(DELIVERY_SECONDS)
        except BrokerError:
            self._forget()
            raise

    def _forget(self) -> None:
        if self._producer is not None:
            self._producer.close()
            self._producer = None
