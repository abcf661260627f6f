"""Where the demo is shown: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from streams.demo.life import ModelLife, Phase
from streams.demo.screen_state import ScreenState, Stage
from streams.demo.terminal import (
    SECONDS_BETWEEN_LINES,
    LiveTerminal,
    PlainTerminal,
    open_terminal,
    plain_line,
)


def output(console: Console) -> str:
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_a_pipe_gets_plain_lines() -> None:
    assert isinstance(open_terminal(Console(file=io.StringIO())), PlainTerminal)


def test_a_terminal_gets_the_live_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(open_terminal(Console(file=io.StringIO(), force_terminal=True)), LiveTerminal)


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_terminal(Console(file=io.StringIO(), force_terminal=True)), PlainTerminal)


def test_the_last_picture_stays_after_the_live_screen() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    with open_terminal(console) as terminal:
        terminal.show(ScreenState(shopper="shopper-0099"))

    left_alternate_screen = output(console).rindex("\x1b[?1049l")
    assert "shopper-0099" in output(console)[left_alternate_screen:]


def test_plain_lines_say_that_the_shop_is_simulated() -> None:
    console = Console(file=io.StringIO())
    with PlainTerminal(console):
        pass

    assert "simulated shop" in output(console)


def test_each_stage_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    console = Console(file=io.StringIO())
    stage = Stage("starting the worker", started=True)
    terminal = PlainTerminal(console)
    terminal.show(ScreenState(stages=[stage]))
    terminal.show(ScreenState(stages=[stage]))
    stage.seconds = 2.0
    terminal.show(ScreenState(stages=[stage, Stage("sending the catalogue")]))

    assert output(console).splitlines() == ["starting the worker ...", "starting the worker: done in 2.0 s"]


def test_figures_are_told_every_few_seconds() -> None:
    times = iter([0.0, 0.0, SECONDS_BETWEEN_LINES / 2, SECONDS_BETWEEN_LINES, SECONDS_BETWEEN_LINES])
    console = Console(file=io.StringIO(), width=40)
    terminal = PlainTerminal(console, now=lambda: next(times))
    for sent in (1, 2, 3):
        terminal.show(ScreenState(events_sent=sent))

    lines = output(console).splitlines()
    assert len(lines) == 2
    assert "sent 1 " in lines[0]
    assert "sent 3 " in lines[1]


def test_a_plain_line_is_ascii() -> None:
    assert plain_line(ScreenState()).isascii()


def test_a_plain_line_says_what_the_trainer_is_at() -> None:
    life = ModelLife(phase=Phase.TRAINING, stage="ranker", share=0.42)

    assert plain_line(ScreenState(life=life)).endswith("training: tuning the ranker 42%")


def test_what_happens_to_the_model_is_told_once() -> None:
    console = Console(file=io.StringIO())
    terminal = PlainTerminal(console, now=lambda: 0.0)
    state = ScreenState()
    state.life.shifted(5_000)
    terminal.show(state)
    terminal.show(state)

    assert output(console).count("the season turns") == 1
