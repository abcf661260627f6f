"""A request's outcome: what passed is released and the latest, what did not is on record and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from encoders.errors import BrokerUnavailable, ReleaseRefused
from encoders.gate.report import Check, GateReport
from exporters.model_store import resolve_model
from streams.settings import Settings, TrainerSettings
from streams.trainer.outcomes import Outcomes
from streams.trainer.trainer import concluded
from streams.trainer.verdict import CANDIDATES, Verdict
from tests.support.trainers import request


class Bench:
    """A models folder, and a candidate in the folder of a training."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.models, self.work, self.version = folder / "models", folder / "work", model.name
        self.outcomes = Outcomes(self.models)
        shutil.copytree(model, self.work / CANDIDATES / model.name)
        self.released: list[Path] = []

    def verdict(self, passed: bool) -> Verdict:
        check = Check(name="better", value=0.1, threshold=0.0, passed=passed, sentence="as told")
        report = GateReport(champion="v1", challenger=self.version, passed=passed, checks=[check])
        status = "passed" if passed else "rejected"
        return Verdict(status=status, sentence="s", candidate=self.version, report=report, events=5)

    def release(self, folder: Path, _: GateReport) -> int:
        self.released.append(folder)
        return 3

    def conclude(self, passed: bool, keep: bool = False) -> object:
        verdict = self.verdict(passed)
        return self.outcomes.conclude(request(), verdict, 2.5, self.work, self.release, keep_rejected=keep)


@pytest.fixture
def bench(tmp_path: Path, untrained_model: Path) -> Bench:
    return Bench(tmp_path, untrained_model)


def test_what_passed_is_released_from_the_models_folder_and_becomes_its_latest(bench: Bench) -> None:
    bench.conclude(passed=True)
    assert bench.released == [bench.models / bench.version]
    assert resolve_model(bench.models) == bench.models / bench.version


def test_what_was_rejected_is_on_record_and_nobodys_latest(bench: Bench) -> None:
    bench.conclude(passed=False)
    assert bench.released == []
    assert sorted(path.name for path in bench.models.iterdir()) == ["reports", "requests"]


def test_what_was_rejected_may_be_kept_and_is_still_nobodys_latest(bench: Bench) -> None:
    bench.conclude(passed=False, keep=True)
    assert (bench.models / bench.version).is_dir()
    assert not (bench.models / "latest").exists()


@pytest.mark.parametrize("passed", [True, False])
def test_a_report_lies_beside_the_versions_for_machines_and_for_people(bench: Bench, passed: bool) -> None:
    bench.conclude(passed)
    names = {path.name for path in (bench.models / "reports").iterdir()}
    assert names >= {f"{bench.version}.json", f"{bench.version}.md"}


@pytest.mark.parametrize("request_id", ["r1", "../../x", "ü" * 100, "a/b\x00c"])
def test_an_outcome_is_found_by_its_request_whatever_the_id(tmp_path: Path, request_id: str) -> None:
    outcomes, verdict = Outcomes(tmp_path), Verdict(status="failed", sentence="s")
    wanted = request(request_id=request_id)
    made = outcomes.conclude(wanted, verdict, 1.0, tmp_path, lambda *_: 0, keep_rejected=False)
    assert outcomes.find(request_id) == made
    assert outcomes.find(request_id + "?") is None


def test_to_conclude_again_after_an_interruption_gives_the_same(bench: Bench) -> None:
    """The trainer was killed after it had moved the version, and before it had written the outcome."""
    bench.conclude(passed=True)
    (record,) = (bench.models / "requests").iterdir()
    record.unlink()
    bench.conclude(passed=True)
    assert resolve_model(bench.models) == bench.models / bench.version
    assert len(list((bench.models / "requests").iterdir())) == 1


def settled(bench: Bench, error: Exception) -> object:
    def refuse(*_: object) -> int:
        raise error

    settings = Settings(trainer=TrainerSettings(models=bench.models))
    verdict = bench.verdict(passed=True)
    return concluded(bench.outcomes, request(), verdict, 1.0, bench.work, refuse, settings)


def test_what_cannot_be_released_has_failed(bench: Bench) -> None:
    outcome = settled(bench, ReleaseRefused("size", "the store is full"))
    assert outcome.status == "failed"  # type: ignore[attr-defined]
    assert "the store is full" in outcome.sentence  # type: ignore[attr-defined]
    assert not (bench.models / "latest").exists()


def test_a_broker_that_is_away_leaves_no_outcome(bench: Bench) -> None:
    with pytest.raises(BrokerUnavailable):
        settled(bench, BrokerUnavailable("away"))
    assert bench.outcomes.find("r1") is None
