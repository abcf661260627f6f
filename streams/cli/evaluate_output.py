"""What ``freshet evaluate`` leaves behind: a table or JSON on stdout, Markdown and a plot in files."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from encoders.errors import SettingsError

Row = dict[str, str | float]
"""``method`` and figures by name."""
SHOWN = (
    "recall_at_10",
    "ndcg_at_10",
    "mrr_at_10",
    "hit_rate_at_10",
    "precision_at_10",
    "novelty_at_10",
    "diversity_at_10",
    "coverage_at_10",
)
"""Columns; those that no row has are left out. --json has all figures."""
IN_TABLE = ("recall_at_10", "ndcg_at_10", "novelty_at_10", "diversity_at_10", "coverage_at_10")
"""Those that a terminal has room for."""
RANKED = ("recall", "ndcg", "mrr", "hit_rate", "precision")
MEASURE = "ndcg_at_10"
"""What the plot shows, and what has its interval in the terminal."""


@dataclass(frozen=True, slots=True)
class Output:
    """Where figures go."""

    as_json: bool
    markdown: Path | None
    plot: Path | None


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of one run, one row a method in each group."""

    title: str
    groups: dict[str, list[Row]]
    """By heading; a row without figures is a method that has no cases there."""
    notes: list[str] = field(default_factory=list)
    """Under the tables, one line each."""


def check_output(output: Output) -> None:
    """Find out before minutes of work what would fail after them; raises ``SettingsError``."""
    for file in (output.markdown, output.plot):
        if file is not None and not file.parent.is_dir():
            raise SettingsError(f"no folder {file.parent} to write {file.name} into: make it first")
    if output.plot is not None:
        if output.plot.suffix not in (".png", ".svg"):
            raise SettingsError(f"--plot writes .png or .svg, not {output.plot.suffix or 'no ending'}")
        _figure_class()


def print_json(rows: Iterable[object]) -> None:
    """One JSON object a line."""
    for row in rows:
        click.echo(msgspec.json.encode(row).decode())


def write_report(report: Report, output: Output) -> None:
    """Write what was asked for; the table is printed unless JSON was."""
    if not output.as_json:
        _print_tables(report)
    if output.markdown is not None:
        output.markdown.write_text(as_markdown(report), encoding="utf-8")
    if output.plot is not None:
        _draw(report, output.plot)


def as_markdown(report: Report) -> str:
    """A heading, a table for each group, and the notes."""
    parts = [f"# {report.title}"]
    for group, rows in report.groups.items():
        columns = _columns(rows)
        head = ["method", *(_label(name) for name in columns)]
        lines = [head, ["---", *("---:" for _ in columns)]]
        lines += [[str(row["method"]), *(_cell(row, name) for name in columns)] for row in rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        parts.append(f"## {group}\n\n{table}" if group else table)
    parts += ["\n".join(f"* {note}" for note in report.notes)] if report.notes else []
    return "\n\n".join(parts) + "\n"


def _columns(rows: Sequence[Row]) -> list[str]:
    return [name for name in SHOWN if any(name in row for row in rows)]


def _label(name: str) -> str:
    return name.replace("_at_10", "@10" if name.startswith(RANKED) else "").replace("_", " ")


def _cell(row: Row, name: str, *, interval: bool = True) -> str:
    if name not in row:
        return "–"
    value = f"{row[name]:.4f}"
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return value if low is None or not interval else f"{value} [{low:.3f}, {high:.3f}]"


def _print_tables(report: Report) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(report.title)
    for group, rows in report.groups.items():
        table = Table(title=group or None, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
        columns = [name for name in IN_TABLE if name in _columns(rows)]
        for name in ("method", *columns):
            justify: Literal["left", "right"] = "left" if name == "method" else "right"
            table.add_column(_label(name), justify=justify, no_wrap=True)
        for row in rows:
            cells = [_cell(row, name, interval=name == MEASURE) for name in columns]
            table.add_row(str(row["method"]), *cells)
        console.print(table)
    for note in report.notes:
        console.print(note)


def _figure_class() -> Any:
    """``matplotlib.figure.Figure``, which needs no display; ``SettingsError`` where it is not installed."""
    try:
        return importlib.import_module("matplotlib.figure").Figure
    except ModuleNotFoundError as error:
        raise SettingsError(f"--plot needs {error.name}: pip install 'freshet[bench]'") from error


def _draw(report: Report, file: Path) -> None:
    """A panel for each group, a bar for each method, whiskers for the interval."""
    shown = {name: [row for row in rows if MEASURE in row] for name, rows in report.groups.items()}
    shown = {name: rows for name, rows in shown.items() if rows}
    methods = max(map(len, shown.values()), default=1)
    size = (4.0 * min(len(shown), 3), (1.4 + 0.32 * methods) * -(-len(shown) // 3))
    figure = _figure_class()(figsize=(max(size[0], 6.0), size[1]), layout="constrained")
    figure.suptitle(report.title)
    grid = figure.subplots(-(-len(shown) // 3), min(len(shown), 3), squeeze=False)
    for axes, (name, rows) in zip(grid.flat, shown.items()):
        _draw_panel(axes, name, rows)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    figure.savefig(file, dpi=150)


def _draw_panel(axes: Any, name: str, rows: Sequence[Row]) -> None:
    values = [float(row[MEASURE]) for row in rows]
    low = [value - float(row.get(f"{MEASURE}_low", value)) for value, row in zip(values, rows)]
    high = [float(row.get(f"{MEASURE}_high", value)) - value for value, row in zip(values, rows)]
    best = max(values)
    colours = ["#1b6ca8" if value == best else "#a9c7dd" for value in values]
    axes.barh([str(row["method"]) for row in rows], values, xerr=[low, high], color=colours, capsize=2)
    axes.invert_yaxis()
    axes.set_title(name, fontsize=10)
    axes.set_xlabel("NDCG@10, 95 % interval", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
