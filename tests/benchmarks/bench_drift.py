"""What drift detection costs; prints one JSON object.

Run it from the repository: ``python tests/benchmarks/bench_drift.py``. Figures are processor time, which a
busy machine blurs less than the clock: microseconds an event for the worker that notes it and for the owner
that compares it, bytes of what is sent and stored, seconds and MB for the import of ``river``.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time, thread_time

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from streams.drift.collector import Collector, ItemFacts
from streams.drift.monitor import DriftMonitor, Judgement, pack_state, unpack_state
from streams.drift.summary import DriftSummary, encode_summary
from streams.settings_sections import DriftSettings
from tests.support.drifting_shop import BATCH, START_MS, Shop, judged, listed, visited

EVENTS = 40_000


class TimedMonitor(DriftMonitor):
    """A monitor that knows how long it was at work, and how much it was sent."""

    seconds = 0.0
    sent_bytes = 0

    def take(self, summary: DriftSummary, source: str = "", offset: int = 0) -> Judgement | None:
        """As it is, timed."""
        self.sent_bytes = len(encode_summary(summary))
        start = thread_time()
        judgement = super().take(summary, source, offset)
        self.seconds += thread_time() - start
        return judgement


def main() -> None:
    """Measure and print."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    imported = seconds(lambda: __import__("river.drift"))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    settings, shop = DriftSettings(), Shop(0)
    events = shop.draw(shop.behaviour, EVENTS)
    facts = {item: ItemFacts(item.partition("-")[0], False) for _, item, _ in events}
    applied = [visited(n, user, item, 0) for n, (user, item, _) in enumerate(events)]
    lists = [listed(shop, user, item, 0.1, settings.k) for user, item, _ in events]
    collector = Collector(settings, shop.users, repeats=True, seed=0)

    def note() -> None:
        for at in range(0, EVENTS, BATCH):
            batch = slice(at, at + BATCH)
            collector.note(applied[batch], lists[batch], facts.__getitem__, START_MS)

    noted = seconds(note)
    monitor = TimedMonitor(settings)
    for _ in judged(shop, [(shop.behaviour, EVENTS)], settings, monitor):
        pass
    state = pack_state(monitor.state)
    figures = {
        "note_us": 1e6 * noted / EVENTS,
        "owner_us": 1e6 * monitor.seconds / EVENTS,
        "summary_bytes": monitor.sent_bytes,
        "state_bytes": len(state),
        "restore_ms": 1e3 * seconds(lambda: DriftMonitor(settings, unpack_state(state))),
        "import_seconds": imported,
        "import_mb": grown,
    }
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))


def seconds(work: Callable[[], object]) -> float:
    """Processor time of a piece of work."""
    start = process_time()
    work()
    return process_time() - start


if __name__ == "__main__":
    main()
