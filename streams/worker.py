"""Run a worker: everything that can be wrong is found before Faust starts, so that it is one clear line."""

from __future__ import annotations

import gc
import logging
import sys

import faust

from streams.composition import compose
from streams.faust_app import make_app
from streams.http_server import bind
from streams.kafka.topics import ensure_topics
from streams.logs import logging_config
from streams.settings import Settings
from streams.topology import define_agents
from streams.upkeep import Upkeep

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005
OBJECTS_BETWEEN_COLLECTIONS = 20_000
"""More than a batch makes: by default Python looks for cycles after each 700 new objects, many times in every
batch, and finds its lists and messages still in use."""


def run_worker(settings: Settings) -> None:
    """Consume, recommend and publish until SIGTERM or SIGINT.

    Raises ``FreshetError`` before the start; afterwards a worker that cannot go on ends the process.
    """
    _use_uvloop()
    # The thread that works a batch off lets go of the interpreter for each matrix product, and would wait
    # 5 ms for a busy event loop to give it back.
    sys.setswitchinterval(SWITCH_SECONDS)
    listener = bind(settings.http)
    ensure_topics(settings.kafka)
    parts = compose(settings)
    gc.freeze()  # what the start has made, the catalogue above all, stays
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    app = make_app(settings)
    define_agents(app, parts, settings)
    upkeep = Upkeep(app, parts, settings, listener)
    host, port = listener.getsockname()[:2]
    log.info("metrics and health on http://%s:%d", host, port)
    faust.Worker(
        app,
        upkeep,
        loglevel=settings.log.level,
        logging_config=logging_config(settings.log),
        redirect_stdouts=False,
    ).execute_from_commandline()


def _use_uvloop() -> None:
    try:
        import mode.loop

        mode.loop.use("uvloop")
    except ImportError:
        log.info("uvloop is not installed; the standard event loop serves")
