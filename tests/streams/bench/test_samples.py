"""What two samples of a process say, and that samples tell the truth."""

from __future__ import annotations

import os
import resource
import time

import pytest

from encoders.errors import FreshetError
from streams.bench.samples import Sample, cost, cpu_seconds, peak_rss_mb, steady


def sample(at: float, events: int, cpu: float = 0.0, wall: float = 0.0, stage_cpu: float = 0.0) -> Sample:
    stages = ({"encode": wall}, {"encode": stage_cpu}) if wall else ({}, {})
    return Sample(at, cpu, events, *stages)


def test_the_steady_part_has_neither_the_start_nor_the_end() -> None:
    samples = [sample(0, 0), sample(1, 5), sample(2, 60), sample(3, 90), sample(4, 100), sample(5, 100)]
    assert steady(samples, 100) == (samples[1], samples[3])


def test_a_run_too_short_is_taken_from_its_last_idle_sample_on() -> None:
    samples = [sample(0, 0), sample(1, 0), sample(2, 100)]
    assert steady(samples, 100) == (samples[1], samples[2])


def test_a_run_that_came_in_one_leap_is_taken_whole() -> None:
    samples = [sample(0, 0), sample(1, 60), sample(2, 60), sample(3, 100)]
    assert steady(samples, 100) == (samples[0], samples[3])


def test_the_rate_is_events_by_seconds() -> None:
    assert cost(sample(1.0, 100), sample(3.0, 500)).events_per_second == (500 - 100) / (3.0 - 1.0)


def test_cpu_is_microseconds_an_event_and_adds_up() -> None:
    measured = cost(sample(0, 100, 1.0, 1.0, 0.5), sample(1, 300, 1.4, 2.0, 0.6))
    assert measured.cpu_us == {
        "total": pytest.approx(0.4 / 200 * 1e6),
        "encode": pytest.approx(0.1 / 200 * 1e6),
        "rest": pytest.approx((0.4 - 0.1) / 200 * 1e6),
    }


def test_a_stage_that_began_after_the_first_sample_counts_from_zero() -> None:
    assert cost(sample(0, 100), sample(1, 300, 1.0, 0.2)).wall_us == {
        "encode": pytest.approx(0.2 / 200 * 1e6)
    }


def test_cpu_seconds_are_those_of_the_process() -> None:
    before = time.process_time()
    read = cpu_seconds(os.getpid())
    # The kernel counts in ticks, and process_time moves on between the two.
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert before - 2 * tick <= read <= time.process_time() + 2 * tick


def test_peak_memory_is_what_the_kernel_says_of_the_process() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    assert peak_rss_mb(os.getpid()) == pytest.approx(before, rel=0.05)


def test_a_process_that_is_gone_is_one_clear_line() -> None:
    with pytest.raises(FreshetError, match="a worker that lives"):
        cpu_seconds(2**22 + 1)
