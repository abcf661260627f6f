"""The panel of the model's life: how near drift is, and what became of it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streams.demo.life import ModelLife, Phase

ROWS = 2
SIGNS = {
    Phase.WATCHING: ("●", "green"),
    Phase.TRAINING: ("◌", "yellow"),
    Phase.REJECTED: ("✗", "red"),
    Phase.FAILED: ("✗", "red"),
    Phase.RELEASED: ("▲", "cyan"),
    Phase.SERVING: ("✓", "green"),
}
WARNING = 0.5
"""Share of the threshold from which the gauge is yellow: that of the detector's own warning."""


def life_panel(life: ModelLife) -> RenderableType:
    """``ROWS`` lines: the phase and the drift gauge, then the training's progress or the last news."""
    sign, style = SIGNS[life.phase]
    return Group(
        _row(Text(f"{sign} {life.phase.value}", f"bold {style}"), *_gauge(life)),
        _training(life) if life.phase is Phase.TRAINING else _news(life),
    )


def _gauge(life: ModelLife) -> tuple[RenderableType, Text]:
    if life.statistic is None:
        return Text(""), Text("drift –", "dim")
    share = life.statistic / life.threshold
    style = "red" if share >= 1 else "yellow" if share >= WARNING else "green"
    bar = ProgressBar(1.0, min(share, 1.0), style="dim", complete_style=style, finished_style=style)
    return bar, Text(f"drift {life.statistic:.0f} of {life.threshold:.0f}", style)


def _training(life: ModelLife) -> RenderableType:
    bar = ProgressBar(1.0, life.share, style="dim", complete_style="cyan", finished_style="cyan")
    return _row(Text(life.doing), bar, Text(f"{life.share:.0%}", "cyan"))


def _news(life: ModelLife) -> Text:
    return Text(
        life.news[-1] if life.news else "nothing has drifted", "dim", no_wrap=True, overflow="ellipsis"
    )


def _row(left: Text, middle: RenderableType, right: Text) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_column(ratio=1, min_width=8)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_row(left, middle, right)
    return grid
