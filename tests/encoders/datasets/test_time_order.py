"""The external sort against the sort in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from encoders.datasets.time_order import in_time_order
from encoders.events import EventType, Interaction

TIMES = st.lists(st.integers(0, 20), max_size=60)


def rows(times: list[int]) -> list[Interaction]:
    return [
        Interaction(
            "u", "i", EventType(n % 2), time, f"e-{n}", session_id=None if n % 3 else "s", price=n / 7
        )
        for n, time in enumerate(times)
    ]


@given(TIMES, st.integers(1, 20))
def test_runs_on_disk_give_what_one_stable_sort_gives(times, run_length):
    expected = sorted(rows(times), key=lambda row: row.timestamp_ms)
    assert list(in_time_order(rows(times), run_length)) == expected


def test_an_iterator_that_is_left_early_closes_its_files(recwarn):
    iterator = in_time_order(rows([3, 2, 1] * 10), run_length=5)
    next(iterator)
    del iterator
    assert not [warning for warning in recwarn if warning.category is ResourceWarning]
