"""What a report is made of: sections with text, tables and pictures.

A kind of study brings its part as a module of this package with two functions::

    def answer(run: Run) -> str: ...                # one sentence, with numbers
    def sections(run: Run) -> list[Section]: ...

which :attr:`lrray.studies.kind.Kind.report` names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lrray.statistics import Summary

if TYPE_CHECKING:  # drawn when a report is written, and not for its tables
    from matplotlib.figure import Figure

Row = dict[str, Any]
"""Column -> text, whole number, setting, or a measured :class:`lrray.statistics.Summary`."""


def axes_row(axes: Mapping[str, Any]) -> Row:
    """Axes as they stand in a table: numbers and text as they are, all else as text."""
    return {k: v if isinstance(v, str | int | float) else str(v) for k, v in axes.items()}


@dataclass(frozen=True)
class Table:
    """Rows under one caption; also written as ``<name>.csv`` and ``<name>.tex``."""

    name: str
    caption: str
    rows: list[Row]

    @cached_property
    def columns(self) -> list[str]:
        """Names of all columns, in the order met."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    @cached_property
    def numeric(self) -> set[str]:
        """Columns that hold numbers alone, which stand to the right."""
        texts = {name for row in self.rows for name, value in row.items() if not _is_number(value)}
        return set(self.columns) - texts


def _is_number(value: Any) -> bool:
    return value is None or (
        isinstance(value, int | float | Summary) and not isinstance(value, bool)
    )


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
