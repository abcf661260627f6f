"""The season bench: arms on one replay, trained when asked, on nothing that comes later."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from math import inf
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from encoders.datasets import Dataset
from encoders.errors import DataError
from encoders.events import EventType, Interaction, Item
from encoders.progress import no_progress
from streams.bench.season import SeasonOptions, run_season
from streams.bench.season_figures import DAILY, DRIFT, FROZEN, ORACLE, STANDING, TRAINED, SeasonFigures
from streams.cli import cli
from streams.settings import Settings, load_settings

DAY = 86_400
START = 1_300_000_000.0
ITEMS = [Item(f"i{row}", f"item {row}", price=1.0 + row) for row in range(60)]
CHANGES = 34
"""The day from which users turn to other items."""


def events() -> Iterator[Interaction]:
    """Two baskets of five items for each of eight users a day, over 45 days."""
    rng = np.random.default_rng(0)
    shares = 1.0 / np.arange(1, 31) / (1.0 / np.arange(1, 31)).sum()
    for day in range(45):
        for turn in range(16):
            at_ms = round(1000 * (START + day * DAY + turn * 1_000))
            first = 30 if day >= CHANGES else 0
            for item in rng.choice(30, 5, replace=False, p=shares).tolist():
                yield Interaction(f"u{turn % 8}", f"i{first + item}", EventType.PURCHASE, at_ms)


SHOP = Dataset("online-retail", ITEMS, False, 45 * 16 * 5, Counter(), Counter(), None, events)


@pytest.fixture(scope="module")
def settings() -> Settings:
    drift = {"window_events": 150, "sample": 32, "consecutive": 2, "max_interval_seconds": 0}
    drift |= {"train_on_seconds": 20 * DAY, "least_scored": 320}
    return load_settings(drift=drift, trainer={"gate_min_cases": 20})


@pytest.fixture(scope="module")
def options(untrained_model: Path) -> SeasonOptions:
    return SeasonOptions(untrained_model, START + 25 * DAY, inf, 1, 200, 2, 0, 1)


@pytest.fixture(scope="module")
def figures(options: SeasonOptions, settings: Settings) -> SeasonFigures:
    return run_season(SHOP, options, settings, no_progress)


def test_frozen_arms_are_never_trained(figures: SeasonFigures) -> None:
    trainings = {one.arm: len(one.trainings) for one in figures.arms}
    assert (trainings[FROZEN], trainings[TRAINED]) == (0, 0)


def test_the_daily_arm_is_trained_once_a_day(figures: SeasonFigures) -> None:
    (daily,) = (one for one in figures.arms if one.arm == DAILY)
    days = [training.at[:10] for training in daily.trainings]
    assert len(days) == len(set(days)) == 19  # of the season's 20 days, but for the first


def test_drift_asks_after_the_change_and_says_why(figures: SeasonFigures) -> None:
    (drift,) = (one for one in figures.arms if one.arm == DRIFT)
    asked = [one for one in drift.trainings if "items_psi" in one.reasons]
    assert asked
    assert datetime.fromisoformat(asked[0].at).timestamp() > START + CHANGES * DAY


def test_evidence_that_stands_still_does_not_know_what_is_new(figures: SeasonFigures) -> None:
    by_name = {one.arm: one for one in figures.arms}
    assert by_name[TRAINED].over[STANDING].low > 0


def test_the_measured_weeks_are_the_last_ones(figures: SeasonFigures) -> None:
    assert figures.baskets == 7 * 16
    assert figures.users == 8


def test_what_comes_later_changes_nothing_before(
    figures: SeasonFigures, options: SeasonOptions, settings: Settings
) -> None:
    shorter = run_season(SHOP, replace(options, end=START + 39 * DAY), settings, no_progress)
    for whole, part in zip(figures.arms, shorter.arms, strict=True):
        if whole.arm == ORACLE:
            continue
        assert part.weeks == whole.weeks[: len(part.weeks)]
        both = zip(whole.trainings, part.trainings, strict=False)
        assert all((a.at, a.reasons, a.difference) == (b.at, b.reasons, b.difference) for a, b in both)


def test_a_season_that_begins_with_the_data_has_no_past(options: SeasonOptions, settings: Settings) -> None:
    with pytest.raises(DataError, match="--start"):
        run_season(SHOP, replace(options, start=START), settings, no_progress)


def test_a_start_that_is_no_time_is_refused(tmp_path: Path) -> None:
    command = ["bench", "season", "--dataset", "online-retail", str(tmp_path), "--start", "autumn"]
    ended = CliRunner().invoke(cli, command)
    assert ended.exit_code != 0
    assert "--start 'autumn'" in str(ended.exception) + ended.output


def test_the_figures_are_one_line_of_json(figures: SeasonFigures) -> None:
    found = json.loads(figures.json())
    assert [target["holds"] in (True, False) for target in found["targets"]] == [True] * 3
