"""Learning curves as a picture: NDCG@10 by interactions, an arm a line. Needs matplotlib."""

from __future__ import annotations

import importlib
from pathlib import Path

from streams.bench.transfer_figures import Figures


def plot_transfer(figures: Figures, file: Path) -> None:
    """Write a PNG or SVG, by the file's ending: means over seeds, bars for the 95 % intervals."""
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.subplots()
    sizes = list(dict.fromkeys(point.size for point in figures.points))
    sizes.sort(key=lambda size: (size is None, size or 0))
    for arm in dict.fromkeys(point.arm for point in figures.points):
        points = [point for point in figures.points if point.arm == arm]
        at = [sizes.index(point.size) for point in points]
        values = [point.ndcg_at_10 for point in points]
        below = [max(point.ndcg_at_10 - point.interval[0], 0.0) for point in points]
        above = [max(point.interval[1] - point.ndcg_at_10, 0.0) for point in points]
        axes.errorbar(at, values, yerr=(below, above), label=arm, marker="o", capsize=3, linewidth=1.5)
    axes.axhline(figures.untrained_ndcg_at_10, color="grey", linewidth=0.8, label="untrained text profile")
    axes.set_xticks(range(len(sizes)), ["all" if size is None else f"{size:,}" for size in sizes])
    axes.set_xlabel("interactions of the target")
    axes.set_ylabel("NDCG@10 of the whole system")
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=120)
