"""How a cell ended, kept before anybody else hears of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lrray.execution.attempts import Outcome, forget
from lrray.results.folder import RunFolder
from lrray.results.plain import plain_result
from lrray.results.record import CellRecord
from lrray.studies.cell import Cell


def durable(run: Callable[[Cell], Outcome], folder: RunFolder) -> Callable[[Cell], CellRecord]:
    """Keeps how a cell ended; one whose record is there is not run again."""

    def run_durable(cell: Cell) -> CellRecord:
        (record,) = folder.load_cells([cell.id])
        if record is not None:
            return record
        outcome = run(cell)
        if outcome.result is None:
            folder.save_failure(cell, outcome.reason, outcome.traceback, outcome.seconds)
        else:
            folder.save_cell(cell, dict(outcome.result), outcome.seconds)
        forget(folder, cell.id)
        record = folder.load_cell(cell.id)
        assert record is not None
        return record

    return run_durable


def usable(run: Callable[[Cell], Mapping[str, Any]]) -> Callable[[Cell], dict[str, Any]]:
    """Refuses a result that diverged or that no file can hold."""

    def run_usable(cell: Cell) -> dict[str, Any]:
        return plain_result(run(cell))

    return run_usable
