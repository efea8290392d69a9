"""The running cells in words: how far each is, by the newest points of its curves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from lrray.studies.folder import RunFolder
from lrray.studies.identity import Cell, axes_label

SHOWN_CELLS = 8
"""Most cells that the terminal shows at once."""

LOOK_S = 2.0
"""Least seconds between two looks at the curves."""

_TAIL_BYTES = 32768
_DEFAULT_NUMBERS = 4


class RunningCells:
    """Shows, whenever it is drawn, where the running cells are.

    Args:
        folder: where their curves lie.
        running: the cells that run now.
        numbers: names to show, in this order; none: the first ones of a cell's points.
    """

    def __init__(
        self,
        folder: RunFolder,
        running: Callable[[], Sequence[Cell]],
        numbers: Sequence[str] = (),
    ) -> None:
        self._folder, self._running, self._numbers = folder, running, numbers
        self._looked, self._lines = -LOOK_S, list[tuple[str, str]]()

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for name, numbers in self.lines():
            table.add_row(Text(name, style="dim"), Text(numbers))
        return table

    def lines(self) -> list[tuple[str, str]]:
        """Name and newest numbers of every running cell that has drawn any."""
        if time.monotonic() - self._looked >= LOOK_S:
            self._looked = time.monotonic()
            told = (line for line in map(self._line, self._running()) if line[1])
            # Of thousands that run no more curves are read than are shown.
            self._lines = list(islice(told, SHOWN_CELLS))
        return self._lines

    def _line(self, cell: Cell) -> tuple[str, str]:
        found = self._newest(cell.id)
        names = [n for n in self._numbers if n in found] or list(found)[:_DEFAULT_NUMBERS]
        return axes_label(cell.axes), "  ".join(
            f"{number} {_short(found[number])}" for number in names
        )

    def _newest(self, cell_id: str) -> Mapping[str, float]:
        """The newest value of everything that the cell has logged of late."""
        try:
            with (self._folder.path / "metrics" / f"{cell_id}.jsonl").open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - _TAIL_BYTES))
                lines = file.read().splitlines()
        except OSError:
            return {}
        newest: dict[str, float] = {}
        for line in lines:
            point = _point(line)
            newest |= {k: v for k, v in point.items() if isinstance(v, int | float)}
        return newest


def _point(line: bytes) -> dict[str, Any]:
    try:
        point = json.loads(line)
    except ValueError:  # cut at the beginning, or not yet whole
        return {}
    return point if isinstance(point, dict) else {}


def _short(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"
