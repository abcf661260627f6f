from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from encoders.datasets import Dataset, LeaveOneOut
from encoders.errors import SettingsError
from encoders.events import EventType, Interaction
from streams.cli import cli
from streams.cli.bench_transfer import _sizes
from streams.cli.transfer import _limited, _sequences
from streams.cli.until import dataset_until
from streams.demo.catalogue import make_catalogue

ITEMS = make_catalogue(12, 7)
SPLIT = LeaveOneOut(
    [[user, user + 1, user + 2] for user in range(8)],
    [([user, user + 1, user + 2], user + 3) for user in range(8)],
    [([user], user) for user in range(8)],
)


def data() -> Dataset:
    return Dataset("x", ITEMS, True, 32, Counter(), Counter(), SPLIT)


def test_a_limit_takes_whole_users() -> None:
    sequences = _sequences(_limited(data(), 10, 0), 0)
    assert len(sequences.train) == 3  # of four interactions each


def test_no_interactions_are_no_error() -> None:
    assert _sequences(_limited(data(), 0, 0), 0).interactions == 0


def test_a_data_set_until_a_time_has_the_events_before_and_the_items_that_had_come() -> None:
    events = [Interaction("u", ITEMS[i].item_id, EventType.CLICK, 1000 * i) for i in range(10)]
    timed = Dataset("x", ITEMS, False, 10, Counter(), Counter(), None, lambda: iter(events))
    past = dataset_until(timed, "1970-01-01T00:00:04")
    assert list(past.interactions()) == events[:4]
    assert (past.items, past.n_interactions) == (ITEMS[:4], 4)


def test_data_without_times_have_no_past_to_cut_off() -> None:
    ordered = data()
    assert dataset_until(ordered, "0.5") is ordered


def test_sizes_are_numbers_and_all() -> None:
    assert _sizes("0, 1000,all") == (0, 1000, None)


def test_a_size_that_is_none_is_named() -> None:
    result = CliRunner().invoke(
        cli,
        ["bench", "transfer", "--from", "m", "--dataset", "unisrec", "d", "--cache", "c", "--sizes", "many"],
    )
    assert isinstance(result.exception, SettingsError)
    assert "many" in str(result.exception)


def test_pretraining_wants_one_data_set_or_several_sources() -> None:
    result = CliRunner().invoke(cli, ["pretrain", "--out", "models"])
    assert isinstance(result.exception, SettingsError)


@pytest.mark.parametrize("command", ["pretrain", "transfer"])
def test_no_weight_for_either_task_is_refused_before_anything_is_trained(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"streams.cli.{command}.load", lambda name, path: data())
    given = {"pretrain": [], "transfer": ["--from", "models"]}[command]
    weights = ["--click-loss-weight", "0", "--purchase-loss-weight", "0"]
    named = ["--dataset", "unisrec", "d", "--out", str(tmp_path)]
    result = CliRunner().invoke(cli, [command, *given, *named, *weights])
    assert isinstance(result.exception, SettingsError)
    assert "above 0" in str(result.exception)
