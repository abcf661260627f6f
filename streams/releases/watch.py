"""Every worker reads ``model-releases`` wholly itself: in a thread, outside the consumer group."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from threading import Thread

from encoders.errors import BrokerError
from exporters.metrics import Metrics
from streams.kafka.reader import read
from streams.messages import ModelRelease
from streams.releases.topic import TOPIC, decode_release, newest
from streams.settings import KafkaSettings

log = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0


class ReleaseWatch:
    """Knows what is released of one model, some 200 ms after it was published."""

    def __init__(
        self, settings: KafkaSettings, model: str, metrics: Metrics, latest: ModelRelease | None = None
    ) -> None:
        """``latest``: what is known to be released already."""
        self._settings = settings
        self._model = model
        self._metrics = metrics
        self.latest = latest
        """The release with the highest number; ``None`` before the first."""
        self._thread = Thread(target=self._run, name="model-releases", daemon=True)

    def start(self) -> None:
        """Read from the beginning on, until the process ends."""
        self._thread.start()

    def take(self, releases: Iterable[ModelRelease | None]) -> None:
        """Take in what lies on the topic from its beginning on; refuse what is older than what came first."""
        highest = 0
        for release in releases:
            if release is None or release.model != self._model:
                continue
            if release.number <= highest:
                self._metrics.release_refusals.labels("number").inc()
                log.error("release %d refused (number): %d came before", release.number, highest)
            highest = max(highest, release.number)
            self.latest = newest([self.latest, release])[self._model]

    def _run(self) -> None:
        while True:
            try:
                self.take(map(decode_release, read(self._settings, TOPIC, seconds=math.inf)))
            except BrokerError as error:
                log.warning("releases cannot be read: %s; trying again in %.0f s", error, PAUSE_SECONDS)
            except Exception:
                log.exception("releases cannot be read; trying again in %.0f s", PAUSE_SECONDS)
            time.sleep(PAUSE_SECONDS)
