"""The season as a picture: weekly NDCG@10 of each arm, a mark at each release. Needs matplotlib."""

from __future__ import annotations

import importlib
from datetime import datetime
from pathlib import Path

from encoders.errors import SettingsError
from streams.bench.season_figures import SeasonFigures


def check_plot(file: Path) -> None:
    """Find out before minutes of work what would fail after them; raises ``SettingsError``."""
    if file.suffix not in (".png", ".svg"):
        raise SettingsError(f"--plot writes .png or .svg, not {file.suffix or 'no ending'}")
    if not file.parent.is_dir():
        raise SettingsError(f"no folder {file.parent} to write {file.name} into: make it first")
    try:
        importlib.import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        raise SettingsError(f"--plot needs {error.name}: pip install 'freshet[bench]'") from error


def plot_season(figures: SeasonFigures, file: Path) -> None:
    """Write a PNG or SVG, by the file's ending."""
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(9.0, 4.5), layout="constrained")
    axes = figure.subplots()
    weeks = [datetime.fromisoformat(week) for week in figures.weeks]
    for one in figures.arms:
        (line,) = axes.plot(weeks, one.weeks, label=one.arm, linewidth=1.5)
        at = [datetime.fromisoformat(t.at[:10]) for t in one.trainings if t.released]
        axes.plot(at, [axes.get_ylim()[0]] * len(at), "|", color=line.get_color(), markersize=10)
    axes.axvline(datetime.fromisoformat(figures.measured_from[:10]), color="grey", linewidth=0.8)
    axes.set_title(f"{figures.dataset}: NDCG@10 by week; marks: releases; grey: what is measured begins")
    axes.legend(fontsize=8)
    figure.autofmt_xdate()
    figure.savefig(file, dpi=120)
