"""What ``freshet bench transfer`` prints: curves by size, and each target against what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import msgspec

REFERENCE = 0.0555
"""NDCG@10 of the untrained text profile on Amazon Scientific that the targets are stated against."""
NEAR = 0.95
"""Of the final value: where training counts as arrived."""
PARENT, PLAIN, GUARDED = "transfer", "plain-scratch", "guarded-scratch"
"""From the parent; from scratch, believed as it comes out; from scratch with the guards of ``transfer``."""


class StageCurve(msgspec.Struct, frozen=True):
    """One stage of a cell's training of the towers, by validation NDCG@10."""

    improved: bool
    best_epoch: int
    steps_per_epoch: int
    start: float
    curve: tuple[float, ...]


class SystemPoint(msgspec.Struct, frozen=True):
    """The whole system after so many optimiser steps, of the towers and then of the ranker."""

    steps: int
    ndcg_at_10: float
    """On the sample's validation targets: of those among the candidates, times their share of all."""


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
    system: list[SystemPoint]
    """The whole system along its training; none where nothing orders the candidates yet."""


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
    """Average over seeds and compare with the targets; of what is not measured yet nothing is said."""
    keys = dict.fromkeys((cell.arm, cell.size) for cell in cells)
    points = {key: _point([c for c in cells if (c.arm, c.size) == key]) for key in keys}
    targets = [
        _at_least(
            "zero-shot NDCG@10 over 1.6 times the untrained text profile",
            1.6 * REFERENCE,
            _ndcg(points.get((PARENT, 0))),
        ),
    ]
    for size in dict.fromkeys(cell.size for cell in cells if cell.arm == PARENT):
        targets += _targets(points, cells, size, untrained)
    return Figures(untrained_ndcg_at_10=untrained, points=list(points.values()), targets=targets)


def _targets(
    points: Mapping[tuple[str, int | None], Point], cells: Sequence[Cell], size: int | None, untrained: float
) -> list[Target]:
    ours, label = points[(PARENT, size)], "all" if size is None else str(size)
    floor = max(untrained, REFERENCE)
    found = [_at_least(f"lowest NDCG@10 at {label} not below the untrained text profile", floor, ours.lowest)]
    for arm in (PLAIN, GUARDED) if size != 0 else ():
        if (arm, size) in points:
            wanted = points[(arm, size)].ndcg_at_10 * (1.0 if size is None else 1.1)
            text = f"not below {arm}" if size is None else f"10 % over {arm}"
            found.append(_at_least(f"NDCG@10 at {label} {text}", wanted, ours.ndcg_at_10))
    found += _steps(cells, size, label)
    if size == 20_000:
        found.append(_at_most("seconds of fine-tuning on 20,000 interactions", 180.0, ours.seconds))
    return found


def _steps(cells: Sequence[Cell], size: int | None, label: str) -> list[Target]:
    """Steps until the whole system is within 5 % of where plain scratch ends, from the parent against half of
    scratch's own; the parent's step 0 counts. Means over the seeds that have both."""
    found: dict[str, list[int]] = {PARENT: [], PLAIN: []}
    for seed in dict.fromkeys(cell.seed for cell in cells if cell.size == size):
        both = {c.arm: c for c in cells if (c.size, c.seed) == (size, seed) and c.arm in found and c.system}
        if len(both) < len(found):
            continue
        final = max(point.ndcg_at_10 for point in both[PLAIN].system)
        for arm, cell in both.items():
            steps = (point.steps for point in cell.system if point.ndcg_at_10 >= NEAR * final)
            first = next(steps, None)
            if first is None:
                return [Target(what=f"steps to 95 % at {label}", wanted=0.0, found=None, holds=False)]
            found[arm].append(first)
    if not found[PLAIN]:
        return []
    half = fmean(found[PLAIN]) / 2
    return [_at_most(f"steps to 95 % of the final value at {label}", half, fmean(found[PARENT]))]


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
