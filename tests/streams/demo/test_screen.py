"""The demo's screen: what it says at every width, not how it is drawn."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from encoders.events import EventType
from streams.demo.life import ModelLife
from streams.demo.screen import change, clock, milliseconds, render, share
from streams.demo.screen_state import HistoryLine, ScreenState, Stage, Suggestion


def running() -> ScreenState:
    return ScreenState(
        stages=[Stage("encoding the catalogue", started=True, seconds=3.0)],
        life=ModelLife("20261121-113bde26", statistic=31.4, threshold=300.0),
        elapsed_seconds=83,
        shopper="shopper-0012",
        history=[
            HistoryLine(EventType.PURCHASE, "Espresso coffee maker Tulvanna Pine", "Coffee makers", hit=True),
            HistoryLine(EventType.CLICK, "Spiced chai tea Orvindle Vale", "Tea", hit=False),
        ],
        suggestions=[
            Suggestion(f"item-{n}", f"Dark [roast] number {n}", "Coffee beans", 0.9 - n / 100)
            for n in range(12)
        ],
        before=["item-1", "item-0"],
        events_per_second=412.4,
        freshness_p50_ms=18.3,
        freshness_p99_ms=1_074.9,
        recall=0.351,
        popularity_recall=0.063,
        scored=2_778,
        curve=[(n / 100, 0.06) for n in range(60)],
        events_sent=14_100,
        events_applied=14_060,
        duplicates=18,
        dead_letters=22,
        users=198,
        items=2_000,
        recommendations=13_999,
    )


def picture(state: ScreenState, width: int, height: int = 24, **options: bool) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, **options)  # type: ignore[arg-type]
    console.print(render(state))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("width", [60, 80, 100, 140, 250])
@pytest.mark.parametrize(
    "words",
    [
        "shopper-0012",
        "Espresso coffee",
        "Dark [roast]",
        "buy",
        "new",
        "▲1",
        "▼1",
        "0.90",
        "412",
        "18 ms",
        "1,075 ms",
        "0.351",
        "0.063",
        "5.6 × popularity on the same 2,778 events",
        "14,100",
        "14,060",
        "dead letters",
        "13,999",
        "01:23",
        "model 20261121-113bde26",
        "● watching",
        "drift 31 of 300",
    ],
)
def test_a_running_demo_says_it_at_every_width(width: int, words: str) -> None:
    assert words in picture(running(), width, height=40)


def test_the_last_line_has_the_address_of_the_playground_where_there_is_one() -> None:
    state = running()
    assert "be a shopper" not in picture(state, 80)
    state.playground = "http://127.0.0.1:8090/"
    assert "http://127.0.0.1:8090/" in picture(state, 60).splitlines()[-1]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_demo_says_that_shop_and_broker_are_not_real(width: int) -> None:
    assert "simulated shop · demo broker, not durable" in picture(running(), width)


@pytest.mark.parametrize(("width", "height"), [(60, 24), (72, 24), (80, 24), (140, 24), (80, 30), (200, 60)])
def test_it_fits_the_terminal(width: int, height: int) -> None:
    lines = picture(running(), width, height).splitlines()

    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_after_a_shift_the_curve_has_marks_and_figures_of_before_worst_and_now() -> None:
    state = running()
    state.recall_before, state.recall_at_worst = 0.361, 0.152
    state.marks = [(20, "shift"), (40, "drift")]
    text = picture(state, 120)

    assert "▲shift" in text
    assert "▲drift" in text
    assert "0.361 before the shift, 0.152 at worst, 0.590 now" in text


def test_a_short_narrow_terminal_shows_the_models_life_rather_than_the_counters() -> None:
    text = picture(running(), 60, 24)

    assert "drift 31 of 300" in text
    assert "duplicates" not in text


def test_eight_recommendations_are_in_sight_at_80_by_24() -> None:
    assert picture(running(), 80).count("Dark [roast]") >= 8


def test_shelves_appear_where_there_is_room() -> None:
    assert "Coffee beans" not in picture(running(), 80)
    assert "Coffee beans" in picture(running(), 140)


def test_nothing_yet_is_shown_as_a_dash() -> None:
    empty = picture(ScreenState(), 80)

    assert "–" in empty
    assert "None" not in empty


def test_starting_shows_the_stages_and_their_progress() -> None:
    state = ScreenState(
        stages=[
            Stage("exporting the text encoder", started=True, seconds=14.2),
            Stage("encoding the catalogue", done=1_200, total=2_000, started=True),
            Stage("starting the worker"),
        ]
    )
    text = picture(state, 80)

    assert "✓ exporting the text encoder" in text
    assert "14.2 s" in text
    assert "1,200/2,000" in text
    assert "starting the worker" in text
    assert "events/s" not in text


def test_without_colour_there_is_no_colour() -> None:
    coloured = picture(running(), 80, force_terminal=True)
    plain = picture(running(), 80, force_terminal=True, no_color=True)

    assert "\x1b[32m" in coloured
    assert "\x1b[3" not in plain


@pytest.mark.parametrize(
    ("item", "rank", "before", "sign"),
    [
        ("a", 0, [], ""),
        ("a", 0, ["b"], "new"),
        ("a", 0, ["a", "b"], ""),
        ("a", 0, ["b", "c", "a"], "▲2"),
        ("a", 1, ["a"], "▼1"),
    ],
)
def test_a_change_is_told_by_its_sign(item: str, rank: int, before: list[str], sign: str) -> None:
    assert change(item, rank, before) == sign


def test_figures_read_well() -> None:
    assert (clock(3_725), milliseconds(1_234.5), share(0.12345)) == ("62:05", "1,234 ms", "0.123")
