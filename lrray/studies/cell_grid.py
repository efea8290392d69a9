"""Runs studies whose grid points are cells, or searches over cells."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from lrray.config import parse, set_key
from lrray.errors import LrrayError
from lrray.statistics import summarize
from lrray.studies.engine import num_slots, run_cells
from lrray.studies.folder import DONE, FAILED, STOPPED, RunFolder
from lrray.studies.grid import GridPoint
from lrray.studies.identity import Cell, code_version
from lrray.studies.kinds import load_kind
from lrray.studies.objective import OBJECTIVE, Objective
from lrray.studies.progress import Progress
from lrray.studies.samplers import make_sampler
from lrray.studies.search import ended_trials, open_arm, open_journal
from lrray.studies.sources import CellSource, FixedCells, SearchArm, SearchedCells, Steps
from lrray.studies.spec import CellStudy, seed_list

SHOWN_ROWS = 40
"""Most rows of the table on the terminal; all are in ``cells.csv``."""


def make_cell(study: CellStudy, axes: Mapping[str, Any], seeds: Sequence[int] = ()) -> Cell:
    """The cell of a resolved study; with ``seeds``, one that repeats it and averages."""
    settings = study.cell_settings()
    if seeds:
        settings["seed"] = list(seeds)
    module = load_kind(study.kind)
    code = study.code() if hasattr(study, "code") else module.CODE
    return Cell(study.kind, settings, dict(axes), code_version(*code))


def objective(study: CellStudy, axes: Mapping[str, Any] | None = None) -> Objective:
    """What the study's search asks for, at the grid point with these ``axes``.

    Raises:
        LrrayError: the study searches nothing.
    """
    search, space = study.search, study.search_space
    if search is None or space is None:
        raise LrrayError(
            "search", "this study searches nothing", fix="add search: and search_space:"
        )

    def cell(parameters: Mapping[str, Any]) -> Cell:
        data: dict[str, Any] = study.model_dump(mode="json", exclude_none=True)
        for path in space.root:
            data = set_key(data, path, parameters[path], path)
        resolved = parse(type(study), data, "search")
        own = {**(axes or {}), **{path: parameters[path] for path in space.root}}
        return make_cell(resolved, own, seed_list(search.seeds))

    def score(result: Mapping[str, Any]) -> dict[str, float]:
        numbers = {k: float(v) for k, v in result.items() if isinstance(v, int | float)}
        sign = 1.0 if search.mode == "min" else -1.0
        return {OBJECTIVE: sign * numbers[search.metric], **numbers}

    goal: Literal["minimize", "maximize"] = "minimize" if search.mode == "min" else "maximize"
    return Objective(search.metric, goal, cell, score)


def plan(points: Sequence[GridPoint], earlier: RunFolder | None) -> dict[str, Any]:
    """What a run would do, and how long, from measured cells of an earlier run if there are any."""
    records = [] if earlier is None else list(earlier.cells())
    study: CellStudy = points[0].study
    rows: dict[str, Any] = {"grid points": len(points)}
    if study.search is None:
        done = {record["id"] for record in records if record["state"] == DONE}
        cells = [make_cell(point.study, point.axes) for point in points]
        num_done = sum(cell.id in done for cell in cells)
        rows |= {"cells": len(cells), "done already": num_done}
        left = len(cells) - num_done
        records = _alike(records, cells)
    else:
        left = sum(point.study.search.num_trials for point in points)
        rows |= {"trials": left}
    seconds = [record["seconds"] for record in records if record["state"] == DONE]
    cores = study.resources.cpu * study.resources.workers
    guess = study.resources.cell_minutes
    mean = sum(seconds) / len(seconds) if seconds else guess and 60 * guess
    return {
        **rows,
        "core_seconds": None if mean is None else left * mean * cores,
        "cell_seconds": None if mean is None else left * mean,
    }


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


def run(
    points: Sequence[GridPoint], folder: RunFolder, progress: Progress, retry_failed: bool = False
) -> dict[str, Any]:
    """Runs what is not there yet; returns the summary."""
    began = time.time()
    study: CellStudy = points[0].study
    slots = num_slots(study.resources)
    if retry_failed:
        folder.forget_failures()
    grid = _Grid(points, folder, progress, slots)
    steps = Steps(folder, grid.steps())
    run_cells(steps, folder, study.resources, progress, _scheduler(study))
    return grid.write(time.time() - began)


def _scheduler(study: CellStudy) -> Any:
    """Tune's scheduler that a search asks for; a grid's cells are all needed whole."""
    search = study.search
    if search is None or search.scheduler == "none":
        return None
    from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule

    judged: dict[str, Any] = {"time_attr": "step", "metric": search.metric, "mode": search.mode}
    if search.scheduler == "asha":
        # A trial that reaches the last step is whole: stopping there would lose its result.
        return AsyncHyperBandScheduler(**judged, max_t=search.max_step + 1)
    return MedianStoppingRule(**judged, grace_period=max(1, search.max_step // 10))


class _Grid:
    """The cells of one run."""

    def __init__(
        self, points: Sequence[GridPoint], folder: RunFolder, progress: Progress, slots: int
    ) -> None:
        self.points, self.folder, self.progress, self.slots = points, folder, progress, slots
        self.study: CellStudy = points[0].study

    def steps(self) -> Iterator[CellSource]:
        if self.study.search is None:
            self.progress.phase("running cells", numbers=self._live_numbers())
            missing = [cell for cell in self._cells() if not self.folder.load_cell(cell.id)]
            yield FixedCells(self.folder, missing, self.slots)
        else:
            self.progress.phase("searching", numbers=self._live_numbers())
            self.storage = open_journal(self.folder)
            self.arms = [self._arm(point) for point in self.points]
            yield SearchedCells(self.folder, self.arms)

    def _live_numbers(self) -> tuple[str, ...]:
        return tuple(getattr(load_kind(self.study.kind), "LIVE", ()))

    def _cells(self) -> list[Cell]:
        return [make_cell(point.study, point.axes) for point in self.points]

    def _arm(self, point: GridPoint) -> SearchArm:
        study: CellStudy = point.study
        search, space = study.search, study.search_space
        assert search is not None
        assert space is not None
        ranges, asked = space.to_optuna(), objective(study, point.axes)
        name = point.label or "search"
        sampler = make_sampler(search, ranges, 0.0)
        return open_arm(
            self.folder, self.storage, name, search, sampler, ranges, asked.cell, asked.score
        )

    def write(self, seconds: float) -> dict[str, Any]:
        wanted = self._wanted()
        records = [r for r in (self.folder.load_cell(i) for i in wanted) if r is not None]
        table = cell_table(records)
        axes = list(dict.fromkeys(name for record in records for name in record["axes"]))
        self.folder.write_text("cells.csv", table.to_csv(index=False))
        failed = [record for record in records if record["state"] == FAILED]
        summary = {
            "study": self.folder.path.parent.name,
            "run": self.folder.path.name,
            "kind": self.study.kind,
            "question": self.study.question,
            "hypothesis": self.study.hypothesis,
            "cells": len(wanted),
            "done": sum(record["state"] == DONE for record in records),
            "stopped": sum(record["state"] == STOPPED for record in records),
            "failed": len(failed),
            "failures": [{"axes": r["axes"], "id": r["id"], "reason": r["reason"]} for r in failed],
            "axes": axes,
            "means": aggregate(table, axes).to_dict("records"),
            "cell_seconds": float(sum(record["seconds"] for record in records)),
            "wall_seconds": seconds,
        }
        self.folder.write_json("summary.json", summary)
        return summary

    def _wanted(self) -> list[str]:
        """Ids of the cells of this study as it stands; others in the folder are older ones."""
        if self.study.search is None:
            return [cell.id for cell in self._cells()]
        ids = []
        for arm in self.arms:
            ids += [arm.cell(t.params).id for t in ended_trials(self.storage, arm.name)]
        return ids


def cell_table(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per cell: id, state, axes, the plain numbers of its result, seconds."""
    rows = [
        {
            "id": record["id"],
            "state": record["state"],
            **record["axes"],
            **{k: v for k, v in record["result"].items() if isinstance(v, int | float | str)},
            "seconds": record["seconds"],
        }
        for record in records
    ]
    return pd.DataFrame(rows, columns=None if rows else ["id", "state", "seconds"])


def aggregate(table: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Mean and standard error over seeds of every number, by the axes other than ``seed``.

    Args:
        table: as :func:`cell_table` makes it.
        axes: names of the columns that tell cells apart.
    """
    done = table[table["state"] == DONE] if len(table) else table
    by = [name for name in axes if name in done.columns and name != "seed"]
    own = {*axes, "id", "state", "seconds", "num_seeds"}
    numbers = [c for c in done.select_dtypes("number").columns if c not in own]
    if "seed" not in axes or not len(done):
        return done[[c for c in done.columns if c not in ("id", "state", "seconds")]]
    rows = []
    for key, group in done.groupby(by, sort=False, dropna=False) if by else [((), done)]:
        row = {**dict(zip(by, key, strict=True)), "seeds": len(group)}
        for name in numbers:
            statistics = summarize(group[name])
            row[name], row[f"{name}_se"] = statistics.mean, statistics.standard_error
        rows.append(row)
    return pd.DataFrame(rows)


def show(summary: Mapping[str, Any], points: Sequence[GridPoint], console: Console) -> bool:
    """Prints means over seeds and the cells that failed; returns whether all is done."""
    if summary["means"]:
        _show_means(summary, console)
    stopped = f", {summary['stopped']} stopped early" if summary["stopped"] else ""
    console.print(f"{summary['done']} of {summary['cells']} cells done{stopped}")
    for failure in summary["failures"][:SHOWN_ROWS]:
        axes = " ".join(f"{name}={value}" for name, value in failure["axes"].items())
        console.print(f"[red]failed[/red] {axes}: {failure['reason']}", soft_wrap=True)
    return bool(summary["done"] + summary["stopped"] == summary["cells"])


def _show_means(summary: Mapping[str, Any], console: Console) -> None:
    """Axes first, then as many numbers as the terminal is wide."""
    rows = summary["means"]
    axes = [name for name in (*summary["axes"], "seeds") if name in rows[0]]
    numbers = [name for name in rows[0] if name not in axes and not name.endswith("_se")]
    chosen = getattr(load_kind(summary["kind"]), "SHOWN", numbers)
    names, width = axes, 2 + sum(_width(rows, name) for name in axes)
    for name in (name for name in chosen if name in numbers):
        width += _width(rows, name)
        if width > console.width and len(names) > len(axes):
            break
        names = [*names, name]
    table = Table(*names, box=SIMPLE_HEAD)
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*(_shown(row, name) for name in names))
    console.print(table)
    if len(rows) > SHOWN_ROWS:
        console.print(f"… and {len(rows) - SHOWN_ROWS} more in cells.csv")


def _width(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    """Characters of a column, the space around it included."""
    return 3 + max(len(name), *(len(_shown(row, name)) for row in rows[:SHOWN_ROWS]))


def _shown(row: Mapping[str, Any], name: str) -> str:
    value, error = row[name], row.get(f"{name}_se")
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if error is None or error != error else f"{text} ± {error:.2g}"
