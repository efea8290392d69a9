"""Runs studies whose grid points are cells, or searches over cells."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from lrray.statistics import summarize
from lrray.studies.cell_plan import plan
from lrray.studies.engine import num_slots, run_cells
from lrray.studies.folder import DONE, FAILED, STOPPED, RunFolder
from lrray.studies.grid import GridPoint
from lrray.studies.grid_cells import make_cell, objective
from lrray.studies.identity import Cell, axes_text
from lrray.studies.kinds import load_kind
from lrray.studies.progress import Progress
from lrray.studies.samplers import make_sampler
from lrray.studies.search import ended_trials, open_arm, open_journal
from lrray.studies.sources import CellSource, FixedCells, SearchArm, SearchedCells, Steps
from lrray.studies.spec import CellStudy

SHOWN_ROWS = 40
"""Most rows of the table on the terminal; all are in ``cells.csv``."""


def run(
    points: Sequence[GridPoint], folder: RunFolder, progress: Progress, retry_failed: bool = False
) -> dict[str, Any]:
    """Runs what is not there yet; returns the summary."""
    began = time.time()
    study: CellStudy = points[0].study
    slots = num_slots(study.resources)
    if retry_failed:
        folder.forget_failures()
    grid = GridRun(points, folder, progress, slots)
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


class GridRun:
    """The cells of one run."""

    def __init__(
        self, points: Sequence[GridPoint], folder: RunFolder, progress: Progress, slots: int
    ) -> None:
        self.points, self.folder, self.progress, self.slots = points, folder, progress, slots
        self.study: CellStudy = points[0].study

    def steps(self) -> Iterator[CellSource]:
        if self.study.search is None:
            self.progress.phase("running cells", numbers=self._live_numbers())
            self.folder.note_outdated(self._wanted())
            missing = [cell for cell in self._cells() if not self.folder.load_cell(cell.id)]
            yield FixedCells(self.folder, missing, self.slots)
        else:
            self.progress.phase("searching", numbers=self._live_numbers())
            self.storage = open_journal(self.folder)
            self.arms = [self._arm(point) for point in self.points]
            self.folder.note_outdated(self._wanted())
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
        self.folder.note_outdated(wanted)
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
        ids = [
            arm.cell(trial.params).id
            for arm in self.arms for trial in ended_trials(self.storage, arm.name)
        ]  # fmt: skip
        return list(dict.fromkeys(ids))  # a search may propose one place twice


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
    found = [c for c in done.select_dtypes("number").columns if c not in own]
    # A cell's own error of a number tells of its held-out set, not of the spread over seeds.
    numbers = [c for c in found if not (c.endswith("_se") and c.removesuffix("_se") in found)]
    if "seed" not in axes or not len(done):
        return done[[c for c in done.columns if c not in ("id", "state", "seconds")]]
    rows = []
    for _, group in done.groupby(_texts(done[by]), sort=False) if by else [("", done)]:
        row = {**{name: group[name].iloc[0] for name in by}, "seeds": len(group)}
        for name in numbers:
            statistics = summarize(group[name])
            row[name], row[f"{name}_se"] = statistics.mean, statistics.standard_error
        rows.append(row)
    return pd.DataFrame(rows)


def _texts(axes: pd.DataFrame) -> list[str]:
    """The axes of every row as text: they may hold lists, by which pandas cannot group."""
    return [json.dumps(row, default=str) for row in axes.to_dict("records")]


def show(summary: Mapping[str, Any], points: Sequence[GridPoint], console: Console) -> bool:
    """Prints means over seeds and the cells that failed; returns whether all is done."""
    if summary["means"]:
        _show_means(summary, console)
    stopped = f", {summary['stopped']} stopped early" if summary["stopped"] else ""
    console.print(f"{summary['done']} of {summary['cells']} cells done{stopped}")
    for failure in summary["failures"][:SHOWN_ROWS]:
        axes = axes_text(failure["axes"])
        told = Text.assemble(("failed", "red"), f" {axes}: {failure['reason']}")
        console.print(told, soft_wrap=True)
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
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if error is None or error != error else f"{text} ± {error:.2g}"


__all__ = ["objective", "plan", "run", "show"]
