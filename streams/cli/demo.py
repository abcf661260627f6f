"""``freshet demo``: the whole way of the data on one machine, with a simulated shop."""

from __future__ import annotations

from pathlib import Path

import click

HEADLESS_EVENTS = 5_000
HEADLESS_RATE = 200.0
SCREEN_RATE = 70.0
SHIFT_AFTER = 5_000
"""Enough for everybody to be known; a little over a minute at the screen's rate."""


@click.command()
@click.option("--headless", is_flag=True, help="No screen: progress as plain lines on stderr, then the end.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the figures as one JSON object, as the last line."
)
@click.option(
    "--events", type=click.IntRange(min=1), help="Events to send. [5000 with --headless, else until Ctrl-C]"
)
@click.option(
    "--rate", type=click.FloatRange(min=0.1), help="Events a second. [200 with --headless, else 70]"
)
@click.option("--users", type=click.IntRange(min=1), default=400, show_default=True, help="Shoppers.")
@click.option("--items", type=click.IntRange(1, 20_000), default=1_000, show_default=True, help="Catalogue.")
@click.option(
    "--shift-after",
    type=click.IntRange(min=0),
    default=SHIFT_AFTER,
    show_default=True,
    help="Events before the shoppers' interests shift; 0: never.",
)
@click.option(
    "--playground/--no-playground",
    default=None,
    help="The page on which you can be a shopper, too. [without --headless]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed is another shop.")
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo"),
    show_default=True,
    help="Keeps the model and the encoded catalogue, so that the next run starts in seconds.",
)
def demo(
    headless: bool,
    as_json: bool,
    events: int | None,
    rate: float | None,
    users: int,
    items: int,
    shift_after: int,
    playground: bool | None,
    seed: int,
    work_dir: Path,
) -> None:
    """Run a simulated shop against a real worker and watch the recommendations follow.

    Everything is started here and stopped at the end: a demo broker (not durable), the worker with Qdrant's
    engine in its process, the trainer, the shop, and the playground, a page on which you can be a shopper,
    too. The catalogue, the other shoppers and their events are simulated.

    After --shift-after events the season turns and shoppers complete gift sets. Nobody tells the recommender:
    recall falls, drift is detected, a fine-tuned model passes the gate and takes over. With --events the last
    1,500 wait for a training that is under way.
    """
    from rich.console import Console

    from streams.demo.run import DemoOptions, run_demo
    from streams.demo.terminal import PlainTerminal, open_terminal

    options = DemoOptions(
        work=work_dir,
        events=events or (HEADLESS_EVENTS if headless else None),
        rate=rate or (HEADLESS_RATE if headless else SCREEN_RATE),
        users=users,
        items=items,
        seed=seed,
        shift_after=shift_after or None,
        playground=not headless if playground is None else playground,
    )
    terminal = PlainTerminal(Console(stderr=True)) if headless else open_terminal(Console())
    report = run_demo(options, terminal)
    if as_json:
        click.echo(report.json())
    elif headless:
        Console().print(report)
