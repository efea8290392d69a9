"""The code blocks of a Markdown page, and the marks above them that only its source shows.

Marks are HTML comments directly above a block::

    <!-- not run: needs a cluster -->      the block is left alone
    <!-- file: decay.py -->                the block is also written to that file
    <!-- part of: decay.yaml -->           YAML that is laid over that study before it is loaded
    <!-- file: my_module.py                a file that readers do not see
    def measure(): ...
    -->
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
SHELLS = ("console", "bash", "sh", "shell")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    text: str
    line: int
    marks: dict[str, str]
    """``not run``, ``file``, ``part of``, with what follows the colon."""

    @property
    def commands(self) -> list[list[str]]:
        """The words of every command; where a line begins with ``$``, of those lines alone."""
        lines = self.text.replace("\\\n", " ").splitlines()
        asked = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        if self.language not in SHELLS:
            lines = []
        return [words for line in asked or lines if (words := split_command(line))]


def split_command(line: str) -> list[str]:
    """The words of one command; comments, leading assignments and what it is piped to left out."""
    words = shlex.split(line, comments=True)
    ends = [words.index(word) for word in ("|", "&&", ">", "&") if word in words]
    words = words[: min(ends, default=None)]
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return words


def pages() -> list[str]:
    """Every page a user reads, by its path in the repository."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order; a hidden file is a block without language."""
    marks: dict[str, str] = {}
    for token in MarkdownIt().parse(text):
        line = (token.map or [0])[0] + 1
        if token.type == "html_block":
            for comment in re.findall(r"<!--\s*(.*?)\s*-->", token.content, re.DOTALL):
                head, _, body = comment.partition("\n")
                name, _, value = head.partition(":")
                if body:
                    yield Block("", body + "\n", line, {name: value.strip()})
                else:
                    marks[name] = value.strip()
        else:
            if token.type == "fence":
                yield Block(token.info.strip(), token.content, line, marks)
            marks = {}


def inline_commands(text: str) -> list[list[str]]:
    """Commands of lrray's own that stand in the prose."""
    found = []
    for token in MarkdownIt().parse(text):
        for child in token.children or ():
            if child.type == "code_inline" and re.match(
                r"(lrray|python -m lrray\.study) ", child.content
            ):
                found.append(split_command(child.content))
    return found
