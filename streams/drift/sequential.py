"""Detectors of change on streams of single values: ADWIN and Page-Hinkley, from river.

``river`` brings scipy, 90 MB and seconds of import: only the worker that owns the decision imports it, at
its first window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import pstdev
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from river.drift import PageHinkley

Direction = Literal["fall", "rise"]

CLOCK = 32
"""Values after which ADWIN looks for a change."""
ALLOWED = 0.05
"""Standard deviations that the mean may move without counting for Page-Hinkley, unless told otherwise."""
LEAST_DEVIATION = 0.1
"""Below it a stream of almost no ones would make an alarm of a handful."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the detectors say of one stream now."""

    mean: float
    """Of what ADWIN holds: since the last change."""
    moved: float
    """How far in the bad direction since before the change that ADWIN found; 0 where it found none."""
    sum: float
    """Page-Hinkley's cumulative sum, in standard deviations; its threshold once that was passed."""


class ChangeDetector:
    """ADWIN and Page-Hinkley on one stream of values from 0 to 1; a change for the better is no alarm.

    ADWIN (Bifet and Gavaldà, SDM 2007) tells whether two parts of what it holds have different means, with
    confidence ``delta``. Page-Hinkley (Page, Biometrika 1954) sums up how far values stray from their mean.
    ``moved`` is relative to the mean before for a fall (accuracy), absolute for a rise (shares).
    """

    def __init__(
        self,
        direction: Direction,
        *,
        delta: float,
        threshold: float,
        least: int,
        allowed: float | None = None,
    ) -> None:
        """``threshold`` of Page-Hinkley in standard deviations; ``least`` values before anything is said;
        ``allowed`` is how far the mean may move without counting for it.
        """
        from river.drift import ADWIN

        self._falls = direction == "fall"
        self._least = least
        self._threshold = threshold
        self._adwin = ADWIN(delta=delta, clock=CLOCK, grace_period=max(least, CLOCK))  # type: ignore[no-untyped-call]
        self._allowed = allowed
        self._page: PageHinkley | None = None
        self._first: list[float] = []
        self._deviation = 0.0
        self._summed = 0
        self._before: float | None = None
        self._alarmed = False

    def update(self, values: Sequence[float]) -> None:
        """Take the next values, in order."""
        for start in range(0, len(values), CLOCK):
            block = values[start : start + CLOCK]
            self._look(block)
            self._sum(block)

    @property
    def change(self) -> Change:
        """What is known now."""
        mean = float(self._adwin.estimation)
        return Change(mean, self._moved(mean), self._threshold if self._alarmed else self._page_sum())

    def _look(self, values: Sequence[float]) -> None:
        adwin = self._adwin
        before = adwin.estimation
        for value in values:
            adwin.update(value)  # type: ignore[no-untyped-call]
            if adwin.drift_detected:
                worse = (adwin.estimation < before) == self._falls
                if worse and self._before is None:
                    self._before = before
        # What came after the change is not that different: chance, or it is as it was.
        if self._before is not None and adwin.width >= self._least and self._moved(adwin.estimation) <= 0:
            self._before = None

    def _sum(self, values: Sequence[float]) -> None:
        if self._page is None:
            self._first += values
            if len(self._first) >= self._least:
                self._page = self._new_page(pstdev(self._first))
                self._first.clear()
            return
        self._summed += len(values)
        for value in values:
            self._page.update(value / self._deviation)  # type: ignore[no-untyped-call]
            self._alarmed |= self._page.drift_detected

    def _new_page(self, deviation: float) -> PageHinkley:
        """In units of the deviation of the first values.

        Without river's forgetting, which pulls a sum that is far from 0 back: that would look like a change.
        """
        from river.drift import PageHinkley

        self._deviation = max(LEAST_DEVIATION, deviation)
        allowed = ALLOWED if self._allowed is None else self._allowed / self._deviation
        mode = "down" if self._falls else "up"
        return PageHinkley(self._least, allowed, self._threshold, alpha=1.0, mode=mode)

    def _moved(self, mean: float) -> float:
        before = self._before
        if before is None or self._adwin.width < CLOCK:
            return 0.0
        return (before - mean) / max(before, 1e-9) if self._falls else mean - before

    def _page_sum(self) -> float:
        """River keeps its sums to itself."""
        page = self._page
        if page is None or self._summed < self._least:
            return 0.0
        if self._falls:
            return float(max(0.0, page._max_decrease - page._sum_decrease))
        return float(max(0.0, page._sum_increase - min(page._min_increase, page._sum_increase)))
