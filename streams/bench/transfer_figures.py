"""What ``freshet bench transfer`` prints: curves by size, and each target against what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import msgspec

from encoders.evaluation.learning_curve import Progression, steps_to

REFERENCE = 0.0555
"""NDCG@10 of the untrained text profile on Amazon Scientific that the targets are stated against."""
NEAR = 0.95
"""Of the final value: where training counts as arrived."""


class StageCurve(msgspec.Struct, frozen=True):
    """One stage of a cell's training of the towers, by validation NDCG@10."""

    improved: bool
    best_epoch: int
    steps_per_epoch: int
    start: float
    curve: tuple[float, ...]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One model: from a parent or from scratch, on one sample of the target."""

    arm: str
    size: int | None
    seed: int
    interactions: int
    ndcg_at_10: float
    """Of the whole system, test, full ranking; with the ends of its interval by bootstrap over users."""
    ndcg_at_10_low: float
    ndcg_at_10_high: float
    recall_at_10: float
    towers_ndcg_at_10: float
    """Of the towers alone."""
    seconds: float
    """Of making the model, texts already encoded; and the CPU seconds of that."""
    cpu_seconds: float
    ranker_rows: int
    stages: list[StageCurve]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One arm at one size: means over seeds, and the lowest and highest seed."""

    arm: str
    size: int | None
    seeds: int
    ndcg_at_10: float
    lowest: float
    highest: float
    interval: tuple[float, float]
    """Mean ends of the seeds' 95 % intervals by bootstrap over users."""
    recall_at_10: float
    towers_ndcg_at_10: float
    seconds: float
    cpu_seconds: float


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One number to reach; ``holds`` is ``None`` where its cells were not asked for."""

    what: str
    wanted: float
    found: float | None
    holds: bool | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    untrained_ndcg_at_10: float
    points: list[Point]
    targets: list[Target]

    def json(self) -> str:
        """One line."""
        return msgspec.json.encode(self).decode()


def figures_of(cells: Sequence[Cell], untrained: float) -> Figures:
    """Average over seeds and compare with the targets."""
    keys = dict.fromkeys((cell.arm, cell.size) for cell in cells)
    points = {key: _point([c for c in cells if (c.arm, c.size) == key]) for key in keys}
    targets = [
        _at_least(
            "zero-shot NDCG@10 over 1.6 times the untrained text profile",
            1.6 * REFERENCE,
            _ndcg(points.get(("transfer", 0))),
        ),
    ]
    for size in dict.fromkeys(cell.size for cell in cells):
        ours, scratch = points[("transfer", size)], points[("scratch", size)]
        label = "all" if size is None else str(size)
        targets.append(
            _at_least(
                f"lowest NDCG@10 at {label} not below the untrained text profile",
                max(untrained, REFERENCE),
                ours.lowest,
            )
        )
        if size != 0:
            wanted = scratch.ndcg_at_10 * (1.0 if size is None else 1.1)
            text = "not below scratch" if size is None else "10 % over scratch"
            targets.append(_at_least(f"NDCG@10 at {label} {text}", wanted, ours.ndcg_at_10))
        targets += _steps(cells, size, label) if size != 0 else []
        if size == 20_000:
            targets.append(_at_most("seconds of fine-tuning on 20,000 interactions", 180.0, ours.seconds))
    return Figures(untrained_ndcg_at_10=untrained, points=list(points.values()), targets=targets)


def _steps(cells: Sequence[Cell], size: int | None, label: str) -> list[Target]:
    """Steps to 95 % of the value that scratch ends at, from the parent against half of scratch's."""
    found: dict[str, list[int]] = {"transfer": [], "scratch": []}
    for seed in dict.fromkeys(cell.seed for cell in cells if cell.size == size):
        both = {cell.arm: cell for cell in cells if (cell.size, cell.seed) == (size, seed)}
        final = max(max(stage.curve, default=stage.start) for stage in both["scratch"].stages)
        for arm, cell in both.items():
            stages = [Progression(s.start, s.curve, s.steps_per_epoch) for s in cell.stages]
            steps = steps_to(NEAR * final, stages)
            if steps is None:
                return [Target(what=f"steps to 95 % at {label}", wanted=0.0, found=None, holds=False)]
            found[arm].append(steps)
    half = fmean(found["scratch"]) / 2
    return [_at_most(f"steps to 95 % of the final value at {label}", half, fmean(found["transfer"]))]


def _point(cells: Sequence[Cell]) -> Point:
    values = [cell.ndcg_at_10 for cell in cells]
    return Point(
        arm=cells[0].arm,
        size=cells[0].size,
        seeds=len(cells),
        ndcg_at_10=fmean(values),
        lowest=min(values),
        highest=max(values),
        interval=(fmean(c.ndcg_at_10_low for c in cells), fmean(c.ndcg_at_10_high for c in cells)),
        recall_at_10=fmean(cell.recall_at_10 for cell in cells),
        towers_ndcg_at_10=fmean(cell.towers_ndcg_at_10 for cell in cells),
        seconds=fmean(cell.seconds for cell in cells),
        cpu_seconds=fmean(cell.cpu_seconds for cell in cells),
    )


def _ndcg(point: Point | None) -> float | None:
    return None if point is None else point.ndcg_at_10


def _at_least(what: str, wanted: float, found: float | None) -> Target:
    return Target(what=what, wanted=wanted, found=found, holds=None if found is None else found >= wanted)


def _at_most(what: str, wanted: float, found: float | None) -> Target:
    return Target(what=what, wanted=wanted, found=found, holds=None if found is None else found <= wanted)
