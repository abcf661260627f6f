"""What ``freshet bench season`` prints: each arm over the last weeks, its trainings, and the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from encoders.evaluation.bootstrap import difference_by_user, interval_by_user
from encoders.evaluation.metrics import Values, ndcg
from encoders.evaluation.progressive import Replayed
from encoders.evaluation.timeline import Integers
from streams.bench.transfer_figures import Target

FROZEN, TRAINED, DRIFT, DRIFT_MODEL, DAILY = "frozen", "frozen-trained", "drift", "drift-of-model", "daily"
"""The ranker of the model as it is; one trained once on all that lies before the season; that one tuned when
drift asks for it; the model's tuned when drift asks for it; the trained one tuned every day."""
STANDING, ORACLE = "standing", "oracle"
"""The trained ranker over evidence that stands still from the season's begin; and what no system can be: a
ranker trained on the season that it is asked about, as well."""
GAIN = 1.08
"""Of the frozen model's NDCG@10: what drift-triggered tuning is to reach."""
SHARE = 1 / 3
"""Of the daily arm's training time: what drift-triggered tuning may take."""
WEEK_SECONDS = 7 * 86_400.0


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """One request and what came of it."""

    at: str
    """ISO time of the events."""
    reasons: list[str]
    rows: int
    cpu_seconds: float
    """Of asking for the rows and the gate's cases, tuning, and the gate."""
    released: bool
    failed: list[str]
    """Checks of the gate that spoke against it."""
    difference: float | None = None
    """NDCG@10 on the newest slice, challenger less champion, with the ends of its interval."""
    low: float | None = None
    high: float | None = None


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """NDCG@10 of an arm less that of another, paired by basket, with its 95 % interval by user."""

    difference: float
    low: float
    high: float
    relative: float


class ArmFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One arm; metrics are of the last weeks, trainings of the whole season."""

    arm: str
    ndcg_at_10: float
    low: float
    high: float
    over: dict[str, Gain]
    """By the name of the arm that is never trained."""
    training_cpu_seconds: float
    released: int
    trainings: list[Training]
    decisions: dict[str, int] = {}
    """Of drift detection, windows by kind."""
    weeks: list[float] = []
    """NDCG@10 of each week, see ``SeasonFigures.weeks``."""


class SeasonFigures(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    dataset: str
    season_from: str
    measured_from: str
    until: str
    baskets: int
    users: int
    first_training_cpu_seconds: float
    """Of ``frozen-trained``, before the season; in no arm's sum."""
    weeks: list[str]
    """First days of the season's weeks that have baskets."""
    arms: list[ArmFigures]
    training_share_of_daily: float
    targets: list[Target]

    def json(self) -> str:
        """One line."""
        return msgspec.json.encode(self).decode()


def arm_figures(
    arm: str,
    outcomes: Mapping[str, Replayed],
    trainings: Sequence[Training],
    decisions: Mapping[str, int],
    *,
    season_from: float,
    measured_from: float,
) -> ArmFigures:
    """Figures of one arm; ``outcomes`` of all arms, of the same baskets of the whole season."""
    ours = outcomes[arm]
    values, chosen = _values(ours), ours.seconds > measured_from
    users = ours.users[chosen]
    low, high = interval_by_user(values[chosen], users)
    return ArmFigures(
        arm=arm,
        ndcg_at_10=float(values[chosen].mean()),
        low=low,
        high=high,
        over={
            other: _gain(values[chosen], _values(outcomes[other])[chosen], users)
            for other in (FROZEN, TRAINED, STANDING)
            if other != arm
        },
        training_cpu_seconds=sum(one.cpu_seconds for one in trainings),
        released=sum(one.released for one in trainings),
        trainings=list(trainings),
        decisions=dict(decisions),
        weeks=[float(values[rows].mean()) for _, rows in weeks_of(ours, season_from)],
    )


def weeks_of(outcome: Replayed, season_from: float) -> list[tuple[float, Integers]]:
    """Start in seconds and rows of each week of the season that has baskets."""
    number = ((outcome.seconds - season_from) // WEEK_SECONDS).astype(np.int64)
    return [(season_from + n * WEEK_SECONDS, np.flatnonzero(number == n)) for n in np.unique(number).tolist()]


def targets_of(arms: Sequence[ArmFigures]) -> tuple[float, list[Target]]:
    """The drift arm's share of the daily arm's training time, and what was to be reached."""
    by_name = {one.arm: one for one in arms}
    drift, daily = by_name[DRIFT], by_name[DAILY]
    share = drift.training_cpu_seconds / max(daily.training_cpu_seconds, 1e-9)
    found = [
        _over(f"NDCG@10 of {DRIFT} at least 8 % over {TRAINED}", drift, by_name[TRAINED]),
        _over(f"NDCG@10 of {DRIFT_MODEL} at least 8 % over {FROZEN}", by_name[DRIFT_MODEL], by_name[FROZEN]),
        Target(
            what=f"training time of {DRIFT} at most a third of {DAILY}'s",
            wanted=SHARE,
            found=share,
            holds=share <= SHARE,
        ),
    ]
    return share, found


def _over(what: str, ours: ArmFigures, theirs: ArmFigures) -> Target:
    wanted, found = GAIN * theirs.ndcg_at_10, ours.ndcg_at_10
    return Target(what=what, wanted=wanted, found=found, holds=found >= wanted)


def _gain(ours: Values, theirs: Values, users: Integers) -> Gain:
    difference, low, high = difference_by_user(ours, theirs, users)
    before = float(theirs.mean())
    return Gain(difference=difference, low=low, high=high, relative=difference / before if before else 0.0)


def _values(outcome: Replayed) -> Values:
    return ndcg(outcome.ranks, 10)
