"""Drives the steps of a run in this process, without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lrray.kinds.function import Study
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.runs.grid import GridProgram
from lrray.runs.summary import write_summary
from lrray.search.queue import CellSource
from lrray.studies.cell import Cell
from lrray.studies.grid import expand

BASE: dict[str, Any] = {
    "kind": "function",
    "question": "q",
    "hypothesis": "h",
    "function": "tests.studies.grid_cells:any_settings",
}


def drive(steps: Iterable[CellSource], compute: Callable[[Cell], object]) -> None:
    """Lets a source hand out all of its cells and computes each."""
    for step in steps:
        trial = 0
        while cells := step.hand_out(f"{trial}"):
            for cell in cells:
                compute(cell)
            step.trial_ended(f"{trial}")
            trial += 1


def run_grid(folder: RunFolder, most: int | None = None, **study: Any) -> dict[str, Any] | None:
    """Runs a study of a function whose loss is its seed; its summary, or None if cut short.

    Args:
        folder: of the run.
        most: cells after which the driver is lost.
        study: keys beside those of ``BASE``.
    """
    folder.remove("summary.json")  # as the command does
    points = expand({**BASE, **study}, Study, "f.yaml")
    grid = GridProgram(points, folder, slots=lambda: 1, known=KnownCells.of(folder))
    left = iter(range(10**6 if most is None else most))

    def compute(cell: Cell) -> None:
        next(left)
        if folder.load_cell(cell.id) is None:
            folder.save_cell(cell, {"loss": float(cell.settings["settings"]["rate"])}, 1.0)

    try:
        drive((phase.source for phase in grid.phases()), compute)
    except StopIteration:
        return None
    return write_summary(points[0].study, grid, folder, 1.0)
