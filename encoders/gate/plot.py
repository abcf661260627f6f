"""A report as a picture: the difference on every slice, with its interval. Needs matplotlib, where it is."""

from __future__ import annotations

from pathlib import Path

from encoders.gate.report import GateReport


def plot_report(report: GateReport, path: Path) -> bool:
    """Write a PNG; false, and nothing written, where matplotlib is missing or there is nothing to draw."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    drawn = [
        (one.name, one.difference, one.low, one.high)
        for one in report.slices
        if one.difference is not None and one.low is not None and one.high is not None
    ]
    if not drawn:
        return False
    figure = Figure(figsize=(7.0, 1.5 + 0.5 * len(drawn)), layout="constrained")
    axes = figure.subplots()
    for row, (_, difference, low, high) in enumerate(drawn):
        axes.plot([low, high], [row, row], color="tab:blue")
        axes.plot([difference], [row], "o", color="tab:blue")
    axes.axvline(0.0, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(drawn)), [name for name, *_ in drawn])
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    axes.set_xlabel("NDCG@10, challenger less champion")
    axes.set_title(f"{report.challenger} against {report.champion}")
    figure.savefig(path, dpi=120, format="png")
    return True
