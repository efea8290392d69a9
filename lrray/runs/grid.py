"""Runs studies whose grid points are cells, or searches over cells."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from lrray.execution.cluster import num_slots
from lrray.execution.tune import run_cells
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, FAILED, STOPPED
from lrray.results.tables import aggregate, cell_table
from lrray.runs.plan import plan
from lrray.runs.progress import Progress
from lrray.runs.show import show
from lrray.search.journal import ended_trials, open_arm, open_journal
from lrray.search.objective import objective
from lrray.search.queue import CellSource, FixedCells, SearchArm, SearchedCells, Steps
from lrray.search.samplers import make_sampler
from lrray.studies.cell import Cell, make_cell
from lrray.studies.grid import GridPoint
from lrray.studies.kind import load_kind
from lrray.studies.schema import CellStudy


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
        axes = list(dict.fromkeys(name for record in records for name in record.axes))
        self.folder.write_text("cells.csv", table.to_csv(index=False))
        failed = [record for record in records if record.state == FAILED]
        summary = {
            "study": self.folder.path.parent.name,
            "run": self.folder.path.name,
            "kind": self.study.kind,
            "question": self.study.question,
            "hypothesis": self.study.hypothesis,
            "cells": len(wanted),
            "done": sum(record.state == DONE for record in records),
            "stopped": sum(record.state == STOPPED for record in records),
            "failed": len(failed),
            "failures": [{"axes": r.axes, "id": r.id, "reason": r.reason} for r in failed],
            "axes": axes,
            "means": aggregate(table, axes).to_dict("records"),
            "cell_seconds": float(sum(record.seconds for record in records)),
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


__all__ = ["objective", "plan", "run", "show"]
