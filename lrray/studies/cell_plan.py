"""What a study whose grid points are cells would do and how long that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrray.studies.folder import DONE, RunFolder
from lrray.studies.grid import GridPoint
from lrray.studies.grid_cells import make_cell, objective
from lrray.studies.identity import Cell
from lrray.studies.planning import Plan, num_ended
from lrray.studies.spec import CellStudy


def plan(points: Sequence[GridPoint], earlier: RunFolder | None) -> Plan:
    """What a run would do, and how long, from measured cells of an earlier run if there are any."""
    study: CellStudy = points[0].study
    records = [] if earlier is None else list(earlier.cells())
    records = [record for record in records if record["state"] == DONE]
    rows: dict[str, Any] = {"grid points": len(points)}
    if study.search is None:
        cells = [make_cell(point.study, point.axes) for point in points]
        done = {record["id"] for record in records}
        counts = {"cells": len(cells), "done already": sum(cell.id in done for cell in cells)}
        records = _alike(records, cells)
    else:
        counts = _trials(points, earlier)
    in_all, done_already = counts.values()
    rows |= counts
    seconds = [record["seconds"] for record in records]
    if seconds:
        mean, source = sum(seconds) / len(seconds), f"{len(seconds)} cells of an earlier run"
    elif study.resources.cell_minutes is not None:
        mean, source = 60 * study.resources.cell_minutes, "cell_minutes in the study"
    else:
        return Plan(rows)
    return Plan(rows, (in_all - done_already) * mean, source)


def _trials(points: Sequence[GridPoint], earlier: RunFolder | None) -> dict[str, int]:
    """Trials of the searches at all grid points, and how many of them have ended."""
    asked = {point.label or "search": objective(point.study, point.axes) for point in points}
    ended = num_ended(earlier, {name: one.cell for name, one in asked.items()})
    wanted = [point.study.search.num_trials for point in points]
    done = sum(map(min, wanted, ended.values()))
    return {"trials": sum(wanted), "done already": done}


def _alike(records: list[dict[str, Any]], cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Records that differ from the cells only where these differ from one another, or in an axis.

    A cell of another scale says nothing about how long these take.
    """
    fixed = _leaves(cells[0].settings)
    for cell in cells:
        own = _leaves(cell.settings)
        fixed = {p: v for p, v in fixed.items() if p not in cell.axes and own.get(p) == v}
    return [record for record in records if fixed.items() <= _leaves(record["settings"]).items()]


def _leaves(settings: Any, path: str = "") -> dict[str, Any]:
    """Key path and value of everything in plain data."""
    if not isinstance(settings, Mapping | list):
        return {path: settings}
    pairs = settings.items() if isinstance(settings, Mapping) else enumerate(settings)
    found: dict[str, Any] = {}
    for key, value in pairs:
        found |= _leaves(value, f"{path}.{key}" if path else str(key))
    return found
