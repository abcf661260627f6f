"""The pages of the documentation, and what is fenced in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.workers import REPOSITORY

PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block; ``words`` are what stands behind the fence: the language, then marks of the suite's."""

    page: Path
    words: tuple[str, ...]
    text: str


def blocks(page: Path) -> list[Block]:
    """In the order of the page."""
    return [Block(page, tuple(words.split()), text) for words, text in _FENCE.findall(page.read_text())]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def name(page: Path) -> str:
    """As a test's id."""
    return str(page.relative_to(REPOSITORY))
