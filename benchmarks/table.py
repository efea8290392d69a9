"""How benchmark rows are shown: on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

COLUMNS = ("name", "value", "unit", "goal", "note")


def row(name: str, value: float, unit: str, goal: str = "", note: str = "") -> dict[str, Any]:
    """One measurement."""
    return {"name": name, "value": value, "unit": unit, "goal": goal, "note": note}


def show(rows: Iterable[dict[str, Any]], title: str) -> None:
    """Prints rows as a table."""
    table = Table(title=title)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column == "value" else "left")
    for each in rows:
        table.add_row(*cells(each))
    Console().print(table)


def markdown(rows: Iterable[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---:|---|---|---|"]
    lines += ["| " + " | ".join(cells(each)) + " |" for each in rows]
    return "\n".join(lines) + "\n"


def cells(each: dict[str, Any]) -> list[str]:
    """A row's texts, the value to three digits."""
    return [number(each[key]) if key == "value" else str(each[key]) for key in COLUMNS]


def number(value: float) -> str:
    """Three significant digits, large numbers with thousands separators."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
