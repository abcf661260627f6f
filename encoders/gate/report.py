"""What the gate found: every check with its value, its threshold and a sentence; as JSON and as Markdown."""

from __future__ import annotations

from typing import Literal

import msgspec

from encoders.errors import DataError

Test = Literal["bootstrap", "mcnemar"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at; a report passes where all of them do."""

    name: str
    value: float | None
    """``None``: not a finite number, which passes nothing."""
    threshold: float
    passed: bool
    sentence: str


class SliceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Both models on one part of the events, case by case; metrics are means over the cases."""

    name: str
    cases: int
    users: int
    champion_ndcg_at_10: float | None
    challenger_ndcg_at_10: float | None
    champion_hit_rate_at_10: float | None
    challenger_hit_rate_at_10: float | None
    difference: float | None
    """NDCG@10 of the challenger less that of the champion."""
    low: float | None
    high: float | None
    """Ends of the difference's interval, users drawn again with all their cases."""
    mcnemar_p: float
    """Chance of so many more hits of the challenger alone, if both were equally good."""


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's answer."""

    champion: str
    challenger: str
    passed: bool
    checks: list[Check]
    slices: list[SliceSummary] = []
    """The newest first, then the references."""
    test: Test = "bootstrap"

    @property
    def failed(self) -> list[Check]:
        """The checks that speak against the challenger."""
        return [check for check in self.checks if not check.passed]

    def summary(self) -> dict[str, object]:
        """The report in a line, as a release carries it."""
        newest = self.slices[0] if self.slices else None
        return {
            "passed": self.passed,
            "checks": {check.name: check.value for check in self.checks},
            "ndcg_at_10": newest and newest.challenger_ndcg_at_10,
            "champion_ndcg_at_10": newest and newest.champion_ndcg_at_10,
        }


def refusal(champion: str, challenger: str, name: str, sentence: str) -> GateReport:
    """A report of a challenger that could not even be compared."""
    check = Check(name=name, value=0.0, threshold=1.0, passed=False, sentence=sentence)
    return GateReport(champion=champion, challenger=challenger, passed=False, checks=[check])


def encode_report(report: GateReport) -> bytes:
    """JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2)


def decode_report(data: bytes) -> GateReport:
    """Read what ``encode_report`` wrote; raises ``DataError``."""
    try:
        return msgspec.json.decode(data, type=GateReport)
    except msgspec.MsgspecError as error:
        raise DataError(f"not a gate report: {error}") from error


def as_markdown(report: GateReport, plot: str | None = None) -> str:
    """The report for a person; ``plot`` is the name of a picture beside it."""
    verdict = "passed" if report.passed else "rejected"
    lines = [f"# {report.challenger} {verdict}, against {report.champion}", ""]
    lines += [f"- **{sentence_of(check)}**" for check in report.failed] + [""] * bool(report.failed)
    lines += ["| check | value | threshold | passed | |", "|---|---:|---:|---|---|"]
    lines += [
        f"| {check.name} | {_shown(check.value)} | {_shown(check.threshold)} |"
        f" {'yes' if check.passed else '**no**'} | {check.sentence} |"
        for check in report.checks
    ]
    if report.slices:
        lines += ["", "| slice | cases | users | NDCG@10 champion | challenger | difference, interval |"]
        lines += ["|---|---:|---:|---:|---:|---|"] + [_row(one) for one in report.slices]
    if plot is not None:
        lines += ["", f"![differences by slice]({plot})"]
    return "\n".join(lines) + "\n"


def sentence_of(check: Check) -> str:
    """A check in a line, with its numbers."""
    return f"{check.name}: {check.sentence} ({_shown(check.value)}, threshold {_shown(check.threshold)})"


def _row(one: SliceSummary) -> str:
    interval = f"{_shown(one.difference)} ({_shown(one.low)} to {_shown(one.high)})"
    means = f"{_shown(one.champion_ndcg_at_10)} | {_shown(one.challenger_ndcg_at_10)}"
    return f"| {one.name} | {one.cases} | {one.users} | {means} | {interval} |"


def _shown(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4g}"
