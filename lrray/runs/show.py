"""What the terminal shows of a grid that has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from lrray.studies.axes import axes_label, axes_text
from lrray.studies.kind import load_kind
from lrray.text import short, with_error

SHOWN_ROWS = 40
"""Most rows of the table on the terminal; all are in ``cells.csv``."""


def show(summary: Mapping[str, Any], console: Console) -> None:
    """Prints means over seeds and the cells that failed."""
    if summary["means"]:
        _show_means(summary, console)
    if summary["best"]:
        _show_best(summary["best"], console)
    stopped = f", {summary['stopped']} stopped early" if summary["stopped"] else ""
    console.print(f"{summary['done']} of {summary['cells']} cells done{stopped}")
    for name in summary["without_result"]:
        console.print(Text.assemble(("no result", "red"), f" {name}: no trial came to its end"))
    for failure in summary["failures"][:SHOWN_ROWS]:
        axes = axes_text(failure["axes"])
        told = Text.assemble(("failed", "red"), f" {axes}: {failure['reason']}")
        console.print(told, soft_wrap=True)


def _show_best(best: Sequence[Mapping[str, Any]], console: Console) -> None:
    """The best trial of each condition, and how its trials ended."""
    metric = best[0]["metric"]
    table = Table("best of", metric, "settings", "done", "stopped", "failed", box=SIMPLE_HEAD)
    for row in best[:SHOWN_ROWS]:
        found = [short(row["value"]), axes_label(row["settings"])] if "value" in row else ["–", ""]
        counts = [str(row[state]) for state in ("done", "stopped", "failed")]
        table.add_row(*map(Text, [row["condition"], *found, *counts]))
    console.print(table)
    if len(best) > SHOWN_ROWS:
        console.print(f"… and {len(best) - SHOWN_ROWS} more in summary.json")


def _show_means(summary: Mapping[str, Any], console: Console) -> None:
    """Axes first, then as many numbers as the terminal is wide."""
    rows = summary["means"]
    axes = [name for name in (*summary["axes"], "seeds") if name in rows[0]]
    numbers = [name for name in rows[0] if name not in axes and not name.endswith("_se")]
    chosen = load_kind(summary["kind"]).shown or numbers
    names, width = axes, 2 + sum(_width(rows, name) for name in axes)
    for name in (name for name in chosen if name in numbers):
        width += _width(rows, name)
        if width > console.width and len(names) > len(axes):
            break
        names = [*names, name]
    table = Table(*(Column(Text(name)) for name in names), box=SIMPLE_HEAD)
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*(Text(_shown(row, name)) for name in names))
    console.print(table)
    if len(rows) > SHOWN_ROWS:
        console.print(f"… and {len(rows) - SHOWN_ROWS} more in cells.csv")


def _width(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    """Characters of a column, the space around it included."""
    return 3 + max(len(name), *(len(_shown(row, name)) for row in rows[:SHOWN_ROWS]))


def _shown(row: Mapping[str, Any], name: str) -> str:
    value, error = row[name], row.get(f"{name}_se")
    return short(value) if error is None or error != error else with_error(value, error)
