"""A directive that describes the command line from its own definition.

``.. commands::`` writes a section per command: what it does, and a line per argument and option. So
the page knows every command, and cannot say anything that the command does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.main import get_command

from lrray.cli.app import app


class Commands(SphinxDirective):
    """A section for each command, subcommands included."""

    def run(self) -> list[nodes.Node]:
        """The sections, in the order of ``lrray --help``."""
        return [self._section(words, command) for words, command in _leaves([], get_command(app))]

    def _section(self, words: list[str], command: Any) -> nodes.section:
        title = " ".join(["lrray", *words])
        section = nodes.section(ids=[nodes.make_id(title)])
        section += nodes.title(text=title)
        self.state.document.note_explicit_target(section, section)
        for paragraph in (command.help or "").split("\n\n"):
            section += nodes.paragraph(text=paragraph.replace("\n", " "))
        rows = [_described(parameter) for parameter in command.params if parameter.name != "help"]
        section += _definitions(rows)
        return section


def _leaves(words: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    """Words and definition of every command that does something itself."""
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, inner in command.commands.items():
        yield from _leaves([*words, name], inner)


def _described(parameter: Any) -> tuple[str, str]:
    """How a parameter is written, and what it means."""
    flags = [*parameter.opts, *parameter.secondary_opts]
    is_option = flags[0].startswith("-")
    written = ", ".join(flags) if is_option else parameter.metavar or parameter.name.upper()
    default = parameter.default
    shown = not getattr(parameter, "is_flag", False) and default not in (None, "", ())
    note = f" Default: {default}." if shown and not callable(default) else ""
    return written, f"{parameter.help or ''}{note}"


def _definitions(rows: list[tuple[str, str]]) -> nodes.definition_list:
    found = nodes.definition_list()
    for written, meaning in rows:
        term = nodes.term("", "", nodes.literal(text=written))
        definition = nodes.definition("", nodes.paragraph(text=meaning))
        found += nodes.definition_list_item("", term, definition)
    return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
