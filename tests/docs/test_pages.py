"""What the pages name exists: links, anchors, files, commands, options, settings, metrics."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from exporters.metrics import Metrics
from streams.cli import cli
from streams.settings import Settings
from streams.trainer.metrics import TrainerMetrics
from tests.docs.pages import PAGES, blocks, name, prose
from tests.support.workers import REPOSITORY

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
OURS = re.compile(r"(?<![\w/.-])(?:streams|encoders|exporters|deploy|tests|docs)/[\w./*-]*")
VARIABLE = re.compile(r"FRESHET_([A-Z]+)__([A-Z0-9_]*[A-Z0-9])(?![A-Z0-9_*<])")
METRIC = re.compile(r"\bfreshet_[a-z0-9_]*[a-z0-9](?![a-z0-9_*…(])")
END = {"|", "||", "&", "&&", ";", ">", ">>", "<", "<<"}
BEFORE = re.compile(r"\||&|&&|\|\||;|--|do|then|[A-Z_]+=\S*")
"""What may stand before a command's name."""

VALUES = yaml.safe_load((REPOSITORY / "deploy/helm/freshet/values.yaml").read_text())

of_each_page = pytest.mark.parametrize("page", PAGES, ids=name)


def anchors(page: Path) -> set[str]:
    """Of the headings, as forges make them: lower case, spaces to hyphens, punctuation dropped."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def is_broken(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return not target.exists() or bool(anchor and anchor not in anchors(target))


@of_each_page
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(prose(page)) if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if is_broken(page, link)] == []


@of_each_page
def test_files_that_are_named_exist(page: Path) -> None:
    named = [path.rstrip("/") for code in CODE.findall(prose(page)) for path in OURS.findall(code)]
    assert [path for path in named if not any(REPOSITORY.glob(path))] == []


def test_the_index_names_every_page() -> None:
    index = REPOSITORY / "docs" / "README.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text())}
    assert [
        name(page) for page in PAGES if page not in linked and page.parent == index.parent and page != index
    ] == []


def commands(page: Path) -> Iterator[list[str]]:
    """The words after each ``freshet`` in shell blocks and in inline code."""
    shell = [block.text for block in blocks(page) if block.words[:1] == ("sh",)]
    for text in [*shell, *CODE.findall(prose(page))]:
        for line in text.replace("\\\n", " ").splitlines():
            yield from _commands(line)


def _commands(line: str) -> Iterator[list[str]]:
    if "freshet " not in line:
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&<>")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # a quotation that goes on in the next line
        return
    for at, word in enumerate(words):
        called = word == "freshet" and (at == 0 or BEFORE.fullmatch(words[at - 1]))
        if called and at + 1 < len(words):
            ends = (n for n, later in enumerate(words[at:], at) if later in END)
            yield words[at + 1 : next(ends, len(words))]


def fault(words: list[str]) -> str:
    """What is wrong with a command line, empty where nothing is."""
    command: click.Command = cli
    context = click.Context(cli)
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = [command.get_command(context, one) for one in rest.pop(0).split("|")]
        if None in found:
            return f"no such command: freshet {' '.join(words)}"
        command = next(one for one in found if one is not None)
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {
        "--help",
        "-h",
    }
    given = [word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
    unknown = [option for option in given if option not in known]
    return f"no option {unknown[0]}: freshet {' '.join(words)}" if unknown else ""


@of_each_page
def test_commands_exist_with_their_options(page: Path) -> None:
    assert [said for words in commands(page) if (said := fault(words))] == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("FRESHET_A=b freshet worker --config x.toml &", False),
        ("freshet models promote|rollback", False),
        ("true && freshet wroker", True),
        ("freshet recommend ann --kk 3", True),
    ],
)
def test_a_misspelt_command_or_option_is_found(line: str, wrong: bool) -> None:
    (words,) = _commands(line)
    assert bool(fault(words)) == wrong


@of_each_page
def test_blocks_are_of_the_language_that_they_name(page: Path) -> None:
    for block in blocks(page):
        language = block.words[0] if block.words else ""
        if language == "json":
            json.loads(block.text)
        elif language == "python":
            compile(block.text, name(page), "exec")
        elif language == "sh":
            read = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
            assert not read.stderr, block.text


def is_setting(section: str, setting: str) -> bool:
    """Whether it is a setting of a section, a scenario's, or a value of the chart."""
    chart = VALUES.get(section)
    if section == "scenarios" or (isinstance(chart, dict) and setting in chart):
        return True
    field = Settings.model_fields.get(section)
    return field is not None and setting in field.annotation.model_fields  # type: ignore[union-attr]


@of_each_page
def test_settings_exist(page: Path) -> None:
    text = page.read_text()
    named = {(section.lower(), setting.lower()) for section, setting in VARIABLE.findall(text)}
    short = (
        code.split(".") for code in CODE.findall(prose(page)) if re.fullmatch(r"[a-z]+\.[a-z0-9_]+", code)
    )
    named |= {(section, setting) for section, setting in short if section in Settings.model_fields}
    for block in blocks(page):
        if block.words[:1] == ("toml",) and "file=" not in " ".join(block.words):
            tables = tomllib.loads(block.text)
            named |= {(section, setting) for section, table in tables.items() for setting in table}
    assert [f"{one}.{setting}" for one, setting in sorted(named) if not is_setting(one, setting)] == []


@pytest.fixture(scope="module")
def metrics() -> set[str]:
    collected = [*Metrics().registry.collect(), *TrainerMetrics().registry.collect()]
    endings = ("", "_total", "_bucket", "_count", "_sum")
    return {f"{family.name}{ending}" for family in collected for ending in endings}


@of_each_page
def test_metrics_exist(page: Path, metrics: set[str]) -> None:
    text = page.read_text()
    renamed = set(re.findall(r"\bas: (freshet_\w+)", text))  # by an adapter of Prometheus
    assert {found for found in METRIC.findall(text) if found not in metrics | renamed} == set()
