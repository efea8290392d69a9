"""What a report is made of: sections with text, tables and pictures.

A kind of study brings its part as a module of this package with two functions::

    def answer(run: Run) -> str: ...                # one sentence, with numbers
    def sections(run: Run) -> list[Section]: ...

and its line in :mod:`lrray.reports.report`. Kinds without one get :mod:`lrray.reports.grid.report`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

Row = dict[str, Any]
"""Column -> text, whole number, setting, or a measured :class:`lrray.statistics.Summary`."""


@dataclass(frozen=True)
class Table:
    """Rows under one caption; also written as ``<name>.csv`` and ``<name>.tex``."""

    name: str
    caption: str
    rows: list[Row]

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in the order met."""
        return list(dict.fromkeys(name for row in self.rows for name in row))


@dataclass(frozen=True)
class Picture:
    """A figure with its caption; also written as ``<name>.png`` and ``<name>.pdf``."""

    name: str
    caption: str
    draw: Callable[[], Figure]
    """Draws it when the report is written."""


@dataclass(frozen=True)
class Section:
    """A part of a report."""

    title: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
