"""Who may import whom; and that a worker never loads what only training needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TRAINING_ONLY = ("torch", "transformers")
OPTIONAL = ("opentelemetry", "requests")
"""Of tracing, which is off."""
SERVING = ("streams.cli.worker", "streams.worker", "exporters.model_store", "exporters.qdrant_edge")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=240
    )


def test_imports_run_from_streams_to_exporters_to_encoders() -> None:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    ended = python("-c", command, "--no-cache")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_serving_loads_neither_what_trains_nor_what_traces() -> None:
    names = ", ".join(SERVING)
    ended = python(
        "-c", f"import sys, {names}; print(sorted(set(sys.modules) & set({TRAINING_ONLY + OPTIONAL!r})))"
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "[]"), ended.stderr


def test_the_command_line_imports_no_command_to_print_its_help() -> None:
    program = (
        "import sys; from streams.cli import cli; "
        "cli(['--version'], standalone_mode=False); "
        "print(sorted(name for name in sys.modules if name.startswith('streams.cli.')))"
    )
    assert python("-c", program).stdout.splitlines()[-1] == "[]"


def test_the_help_of_all_commands_needs_nothing_that_trains() -> None:
    program = (
        "import sys; from streams.cli import cli; "
        "cli(['--help'], standalone_mode=False); "
        f"print(sorted(set(sys.modules) & set({TRAINING_ONLY!r})))"
    )
    ended = python("-c", program)
    assert ended.stdout.splitlines()[-1] == "[]", ended.stderr
