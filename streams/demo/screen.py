"""What the demo shows: one function from a state to a picture that fits its terminal.

Only bold, dim and the terminal's own named colours are used, so that light and dark backgrounds both work,
and every colour repeats what a sign already says, so that nothing is lost without colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from encoders.events import EventType
from streams.demo.curves import mark_line, sparkline
from streams.demo.life_panel import ROWS, life_panel
from streams.demo.screen_state import HistoryLine, ScreenState, Stage, Suggestion

TITLE = "simulated shop · demo broker, not durable"

MOST_ROWS = 10

WIDE = 110
"""Columns from which there is room for shelves beside the titles."""

NARROW = 72
"""Columns below which the panels stand one above the other."""

SHORT = 28
"""Rows of a narrow terminal below which the model's life takes the place of the counters."""


def render(state: ScreenState) -> RenderableType:
    """The whole screen for a state; it fits itself to the console it is printed on (80 x 24 and up)."""
    return _Screen(state)


def change(item_id: str, rank: int, before: Sequence[str]) -> str:
    """How an item at ``rank`` (from 0) came there: "new", "▲2", "▼1", or "" where nothing changed."""
    if not before:
        return ""
    if item_id not in before:
        return "new"
    moved = before.index(item_id) - rank
    return f"▲{moved}" if moved > 0 else f"▼{-moved}" if moved < 0 else ""


def clock(seconds: float) -> str:
    """Seconds as MM:SS (minutes go on counting after an hour)."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def milliseconds(value: float | None) -> str:
    """A duration for reading, "–" where there is none yet."""
    return "–" if value is None else f"{value:,.0f} ms"


def share(value: float | None) -> str:
    """A recall for reading, "–" where there is none yet."""
    return "–" if value is None else f"{value:.3f}"


@dataclass(frozen=True, slots=True)
class _Screen:
    state: ScreenState

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _header(self.state)
        if self.state.starting:
            yield _panel("starting", _stages(self.state.stages))
            return
        width, height = options.max_width, console.size.height
        rows = _rows_that_fit(height, width)
        yield _pair(width, *_shop(self.state, rows, width))
        yield _pair(width, *_gauges(self.state, width))
        yield _panel(f"model {self.state.life.version}".rstrip(), life_panel(self.state.life))
        if width >= NARROW or height >= SHORT:
            yield _counters(self.state, width)
        yield _last_line(self.state)


def _last_line(state: ScreenState) -> RenderableType:
    line = Text(no_wrap=True, overflow="ellipsis")
    if state.playground:
        line.append(" be a shopper, too: ").append(state.playground, "bold").append(" ·", "dim")
    return line.append(" Ctrl-C ends the demo", "dim")


def _rows_that_fit(height: int, width: int) -> int:
    """Rows of a list: what borders, gauges, the model's life, counters, header and last line leave."""
    life = ROWS + 2
    left = height - 12 - life if width >= NARROW else (height - 20 - life) // 2
    return max(2, min(MOST_ROWS, left))


def _header(state: ScreenState) -> RenderableType:
    # What must be read in full stands on the left; of the right a narrow terminal shows what it can.
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, ratio=1, justify="right", overflow="ellipsis")
    time_and_model = clock(state.elapsed_seconds) + (f" {state.life.version}" if state.life.version else "")
    grid.add_row(Text.assemble((" Freshet ", "bold reverse"), " ", TITLE), Text(time_and_model, "dim"))
    return grid


def _panel(title: str, body: RenderableType) -> Panel:
    return Panel(body, title=title, title_align="left", box=ROUNDED, border_style="cyan", padding=(0, 1))


def _pair(width: int, left: RenderableType, right: RenderableType) -> RenderableType:
    if width < NARROW:
        return Group(left, right)
    grid = Table.grid(expand=True)
    grid.add_column(ratio=2)
    grid.add_column(ratio=3)
    grid.add_row(left, right)
    return grid


def _stages(stages: Sequence[Stage]) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(no_wrap=True, ratio=2, overflow="ellipsis")
    grid.add_column(ratio=2)
    grid.add_column(no_wrap=True, justify="right", min_width=12)
    for stage in stages:
        grid.add_row(*_stage(stage))
    return grid


def _stage(stage: Stage) -> tuple[RenderableType, RenderableType, RenderableType, RenderableType]:
    if stage.seconds is not None:
        return Text("✓", "green"), Text(stage.name), Text(""), Text(f"{stage.seconds:.1f} s", "dim")
    if not stage.started:
        return Text(""), Text(stage.name, "dim"), Text(""), Text("")
    if not stage.total:
        return Spinner("dots"), Text(stage.name, "bold"), Text(""), Text("")
    bar = ProgressBar(stage.total, stage.done, style="dim", complete_style="green")
    return Spinner("dots"), Text(stage.name, "bold"), bar, Text(f"{stage.done:,}/{stage.total:,}")


def _shop(state: ScreenState, rows: int, width: int) -> tuple[RenderableType, RenderableType]:
    history = _rows([_history(line) for line in state.history[:rows]], rows, width)
    ranked = enumerate(state.suggestions[:rows])
    suggestions = _rows([_suggestion(rank, item, state.before) for rank, item in ranked], rows, width)
    return _panel(state.shopper or "shopper", history), _panel("recommended now", suggestions)


def _rows(cells: Sequence[tuple[Text, Text, Text, Text]], rows: int, width: int) -> RenderableType:
    """Rows of (sign, title, shelf, value), filled up to ``rows`` so that panels do not jump."""
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(no_wrap=True, min_width=3)
    grid.add_column(no_wrap=True, ratio=5, overflow="ellipsis")
    if width >= WIDE:
        grid.add_column(no_wrap=True, ratio=2, overflow="ellipsis")
    grid.add_column(no_wrap=True, justify="right")
    for sign, title, shelf, value in cells:
        grid.add_row(sign, title, *([shelf] if width >= WIDE else []), value)
    for _ in range(rows - len(cells)):
        grid.add_row("")
    return grid


def _history(line: HistoryLine) -> tuple[Text, Text, Text, Text]:
    bought = line.event_type is EventType.PURCHASE
    sign = Text("buy", "bold magenta") if bought else Text("see", "dim")
    hit = Text("hit", "bold green") if line.hit else Text("")
    return sign, Text(line.title, "bold" if bought else ""), Text(line.shelf, "dim"), hit


def _suggestion(rank: int, item: Suggestion, before: Sequence[str]) -> tuple[Text, Text, Text, Text]:
    sign = change(item.item_id, rank, before)
    style = {"n": "bold green", "▲": "green", "▼": "dim"}.get(sign[:1], "")
    return Text(sign, style), Text(item.title), Text(item.shelf, "dim"), Text(f"{item.score:.2f}", "cyan")


def _gauges(state: ScreenState, width: int) -> tuple[RenderableType, RenderableType]:
    stream = Table.grid(expand=True, padding=(0, 1))
    stream.add_column(no_wrap=True, ratio=1)
    stream.add_column(no_wrap=True, justify="right")
    stream.add_row("events/s", Text(f"{state.events_per_second:,.0f}", "bold"))
    stream.add_row("freshness p50", Text(milliseconds(state.freshness_p50_ms), "bold"))
    stream.add_row("freshness p99", Text(milliseconds(state.freshness_p99_ms), "bold"))
    return _panel("event → recommendation", stream), _panel(
        "recall@10, tested before learned", _recall(state, width)
    )


def _recall(state: ScreenState, width: int) -> RenderableType:
    room = max(8, (width if width < NARROW else width * 3 // 5) - 22)
    top = max((max(pair) for pair in state.curve), default=0.0)
    recommended, popularity = ([pair[column] for pair in state.curve] for column in (0, 1))
    grid = Table.grid(padding=(0, 1))
    bars = Text(sparkline(recommended, room, top), "green", no_wrap=True)
    grid.add_row("recommended", Text(share(state.recall), "bold"), bars)
    # Once there is something to mark, what matters is where the first curve was then.
    if state.marks:
        under = Text(mark_line(state.marks, len(state.curve), room), "bold", no_wrap=True)
    else:
        under = Text(sparkline(popularity, room, top), "magenta", no_wrap=True)
    grid.add_row("popularity", Text(share(state.popularity_recall), "bold"), under)
    return Group(grid, Text(_compared(state), "dim", no_wrap=True, overflow="ellipsis"))


def _compared(state: ScreenState) -> str:
    if state.recall_before is not None:
        worst, now = share(state.recall_at_worst), share(state.curve[-1][0])
        return f"{share(state.recall_before)} before the shift, {worst} at worst, {now} now"
    if not state.recall or not state.popularity_recall:
        return ""
    times = state.recall / state.popularity_recall
    return f"{times:.1f} × popularity on the same {state.scored:,} events"


def _counters(state: ScreenState, width: int) -> RenderableType:
    counts = {
        "sent": state.events_sent,
        "applied": state.events_applied,
        "duplicates": state.duplicates,
        "dead letters": state.dead_letters,
        "users": state.users,
        "items": state.items,
        "recommendations": state.recommendations,
    }
    if width >= NARROW:
        return _columns(counts)
    names = list(counts)
    return Group(*(_columns({name: counts[name] for name in part}) for part in (names[:4], names[4:])))


def _columns(counts: dict[str, int]) -> RenderableType:
    grid = Table.grid(padding=(0, 0, 0, 2))
    for _ in counts:
        grid.add_column(no_wrap=True, justify="right")
    grid.add_row(*(Text(name, "dim") for name in counts))
    grid.add_row(*(f"{count:,}" for count in counts.values()))
    return grid
