"""``freshet ui``: the playground, a page on which a person clicks and watches the recommendations follow."""

from __future__ import annotations

import asyncio
import logging
import signal
import webbrowser
from pathlib import Path

import click

from streams.logs import configure_logging
from streams.settings import Settings, load_settings


@click.command()
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in this machine's browser.")
@click.option(
    "--models",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the trainer keeps its reports, for the last training. Default: trainer.models.",
)
def ui(config: Path | None, open_page: bool, models: Path | None) -> None:
    """Serve the playground: be a shopper, click, and watch the list change; see drift and the models at work.

    It speaks to Kafka and to a worker's port, and starts neither: `freshet broker`, `freshet worker`, or
    `freshet demo`, which has all of it. The page shows what is missing.

    \b
    Examples:
      freshet ui --open
      FRESHET_UI__PORT=0 FRESHET_UI__WORKER_URL=http://127.0.0.1:8080 freshet ui
    """
    settings = load_settings(config)
    configure_logging(settings.log)
    # It warns whenever a poll took 0.1 s: no fault on a machine at work.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    asyncio.run(_serve(settings, models or settings.trainer.models, open_page))


async def _serve(settings: Settings, models: Path, open_page: bool) -> None:
    from streams.ui.server import serve_ui

    def ready(url: str) -> None:
        click.echo(f"playground: {url} (Ctrl-C ends it)")
        if open_page:
            webbrowser.open(url)

    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await serve_ui(settings, models, stopped, ready)
