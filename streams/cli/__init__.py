"""The command line: one lazily imported module a command, one place where errors become exit codes."""

from __future__ import annotations

import importlib
import sys

import click

from encoders.errors import FreshetError

COMMANDS = {
    "bench": "streams.cli.bench:bench",
    "broker": "streams.cli.broker:broker",
    "config": "streams.cli.config:config",
    "demo": "streams.cli.demo:demo",
    "drift": "streams.cli.drift:drift",
    "evaluate": "streams.cli.evaluate:evaluate",
    "model": "streams.cli.model:model",
    "models": "streams.cli.models:models",
    "pretrain": "streams.cli.pretrain:pretrain",
    "recommend": "streams.cli.recommend:recommend",
    "replay": "streams.cli.replay:replay",
    "schema": "streams.cli.schema:schema",
    "send": "streams.cli.send:send",
    "topics": "streams.cli.topics:topics",
    "train-ranker": "streams.cli.train_ranker:train_ranker",
    "trainer": "streams.cli.trainer:trainer",
    "transfer": "streams.cli.transfer:transfer",
    "tune-text": "streams.cli.tune_text:tune_text",
    "ui": "streams.cli.ui:ui",
    "worker": "streams.cli.worker:worker",
}
"""Command name -> "module:function". Lazy, because a worker must not import torch to print its help."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All command names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or ``None`` where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="freshet")
def cli() -> None:
    """Freshet: clicks and purchases in, fresh recommendations out.

    Try `freshet demo` first. Then: `freshet model init` makes a model from a catalogue,
    `freshet broker --kafka` starts a Kafka, `freshet worker` recommends.
    """


def main() -> None:
    """Run the command line; an error of ours becomes one line on stderr and its exit code."""
    from streams.logs import configure_logging, tell_end
    from streams.settings_sections import LogSettings

    # Whoever typed a command hears of faults alone; worker, trainer and playground log by their settings.
    configure_logging(LogSettings(level="WARNING"))
    try:
        cli(standalone_mode=True)
    except FreshetError as error:
        tell_end(str(error))
        sys.exit(error.exit_code)
