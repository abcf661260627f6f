"""What is told of messages that could not be used: a metric, and a line a reason in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from exporters.metrics import Metrics
from streams.fold_types import DeadLetter
from streams.places import place_of

log = logging.getLogger(__name__)


def tell_dead_letters(letters: Iterable[DeadLetter], metrics: Metrics) -> None:
    """Count them; a line for each topic and reason says how many, and where the first one is.

    Not a line each: a producer gone wrong would fill the disk. At debug there is one each.
    """
    groups: dict[tuple[str, str], list[DeadLetter]] = {}
    for one in letters:
        groups.setdefault((one.received.topic, one.rejected.reason), []).append(one)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("dead letter: %s", one.rejected.error, extra=_told(one))
    for (topic, reason), group in groups.items():
        metrics.dead_letters.labels(topic, reason).inc(len(group))
        error = group[0].rejected.error
        log.warning("dead letters: %s", error, extra={"count": len(group), **_told(group[0])})


def _told(letter: DeadLetter) -> dict[str, object]:
    return {**place_of(letter.received), "reason": letter.rejected.reason}
