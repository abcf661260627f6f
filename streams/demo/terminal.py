"""Where the demo's state goes: a live screen on a terminal that can show one, plain lines everywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live

from streams.demo.life import ModelLife, Phase
from streams.demo.screen import TITLE, clock, milliseconds, render, share
from streams.demo.screen_state import ScreenState

REFRESHES_PER_SECOND = 8

SECONDS_BETWEEN_LINES = 5.0


class Terminal(Protocol):
    """Shows a state, again and again, between enter and exit."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was found."""

    def show(self, state: ScreenState) -> None:
        """Show the state; cheap enough to be called at any moment."""


def open_terminal(console: Console) -> Terminal:
    """A live screen where the console can move its cursor and knows the signs, else plain lines."""
    if console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf"):
        return LiveTerminal(console)
    return PlainTerminal(console)


class LiveTerminal:
    """Draws on the alternate screen; the last picture stays on the ordinary one when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, refresh_per_second=REFRESHES_PER_SECOND)
        self._last: ScreenState | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        if self._last is not None:
            self._console.print(render(self._last))

    def show(self, state: ScreenState) -> None:
        """Take the state for the next refresh."""
        self._last = state
        self._live.update(render(state))


class PlainTerminal:
    """Prints a line when a stage begins or ends, and a line of figures every few seconds."""

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._now = now
        self._next_line = 0.0
        self._printed: set[str] = set()

    def __enter__(self) -> Self:
        self._print(f"freshet demo: {TITLE.replace('·', '-')}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, state: ScreenState) -> None:
        """Print what is new."""
        playground = [f"playground: {state.playground}"] if state.playground else []
        for line in [*stage_lines(state), *playground, *state.life.news]:
            if line not in self._printed:
                self._printed.add(line)
                self._print(line)
        if not state.starting and self._now() >= self._next_line:
            self._next_line = self._now() + SECONDS_BETWEEN_LINES
            self._print(plain_line(state))

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def stage_lines(state: ScreenState) -> list[str]:
    """What there is to say about the stages so far, one line a beginning and one an end."""
    lines = []
    for stage in state.stages:
        if stage.started:
            lines.append(f"{stage.name} ...")
        if stage.seconds is not None:
            lines.append(f"{stage.name}: done in {stage.seconds:.1f} s")
    return lines


def _life(life: ModelLife) -> str:
    if life.phase is Phase.TRAINING:
        return f"training: {life.doing} {life.share:.0%}"
    gauge = "-" if life.statistic is None else f"{life.statistic:.0f} of {life.threshold:.0f}"
    return f"model {life.phase.value}, drift {gauge}"


def plain_line(state: ScreenState) -> str:
    """The figures of a running demo on one line of ASCII."""
    line = (
        f"{clock(state.elapsed_seconds)}  {state.events_per_second:.0f} events/s  sent {state.events_sent}  "
        f"applied {state.events_applied}  duplicates {state.duplicates}  dead letters {state.dead_letters}  "
        f"freshness p50 {milliseconds(state.freshness_p50_ms)} p99 {milliseconds(state.freshness_p99_ms)}  "
        f"recall@10 {share(state.recall)} popularity {share(state.popularity_recall)}  "
        f"lately {share(state.curve[-1][0] if state.curve else None)}  {_life(state.life)}"
    )
    return line.replace("–", "-")
