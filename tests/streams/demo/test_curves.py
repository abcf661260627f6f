"""Curves of text, and the marks under them."""

from __future__ import annotations

from streams.demo.curves import BARS, mark_line, sparkline


def test_values_are_scaled_to_the_top() -> None:
    assert sparkline([0.0, 0.5, 1.0], width=3, top=1.0) == BARS[0] + BARS[4] + BARS[7]


def test_without_a_top_all_bars_are_low() -> None:
    assert sparkline([0.0, 0.0], width=3, top=0.0) == BARS[0] * 2


def test_more_values_than_bars_are_averaged_side_by_side() -> None:
    assert sparkline([0.0, 1.0, 1.0, 1.0], width=2, top=1.0) == BARS[4] + BARS[7]


def test_the_whole_curve_is_in_sight() -> None:
    assert len(sparkline([0.5] * 1_000, width=37, top=1.0)) == 37


def test_a_mark_stands_under_its_value() -> None:
    assert mark_line([(2, "shift")], count=5, width=10) == "  ▲shift"
    assert mark_line([(500, "shift")], count=1_000, width=20) == " " * 10 + "▲shift"


def test_a_mark_cuts_the_word_before_it() -> None:
    assert mark_line([(0, "shift"), (3, "drift")], count=10, width=10) == "▲sh▲drift"


def test_marks_never_leave_the_width() -> None:
    assert len(mark_line([(9, "shift")], count=10, width=10)) == 10
