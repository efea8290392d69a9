"""Works off studies whose grid points are cells, or searches over cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from rich.console import Console

from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.results.record import DONE, FAILED, STOPPED, CellRecord
from lrray.results.tables import axes_of, cell_table
from lrray.runs.plan import plan
from lrray.runs.show import show
from lrray.search.objective import Objective, objective
from lrray.search.program import Phase, Plan
from lrray.studies.cell import Cell, make_cell
from lrray.studies.grid import GridPoint
from lrray.studies.kind import load_kind
from lrray.studies.schema import CellStudy

if TYPE_CHECKING:  # with Optuna and pandas, which the plan of a grid does without
    from lrray.search.memory import Searches
    from lrray.search.queue import OpenSearch


class GridProgram:
    """The cells of a grid; see :class:`lrray.search.program.Program`."""

    def __init__(
        self,
        points: Sequence[GridPoint],
        folder: RunFolder,
        slots: Callable[[], int],
        known: KnownCells,
    ) -> None:
        self.points, self.folder, self.slots, self.known = points, folder, slots, known
        self.study: CellStudy = points[0].study
        self.searches: list[OpenSearch] = []

    def phases(self) -> Iterator[Phase]:
        """All cells that are missing, or one search per grid point."""
        from lrray.search.fixed import FixedCells
        from lrray.search.memory import Searches
        from lrray.search.queue import SearchedCells

        kind = load_kind(self.study.kind)
        if self.study.search is None:
            self.folder.note_outdated(self.wanted())
            ended = {record.id for record in self.known.records}
            missing = [cell for cell in self._cells if cell.id not in ended]
            missing.sort(key=lambda cell: kind.order(cell.settings))
            cells = FixedCells(self.folder, missing, self.slots, self.study.resources.pack)
            yield Phase("running cells", cells, numbers=kind.live)
        else:
            opened = Searches(self.folder, self.known)
            self.searches = [self._search(opened, point) for point in self.points]
            self.folder.note_outdated(self.wanted())
            yield Phase("searching", SearchedCells(self.folder, self.searches), numbers=kind.live)

    @cached_property
    def _cells(self) -> list[Cell]:
        return [self.known.adopt(make_cell(point.study, point.axes)) for point in self.points]

    def _search(self, opened: Searches, point: GridPoint) -> OpenSearch:
        from lrray.search.samplers import make_sampler

        study: CellStudy = point.study
        search, space = study.search, study.search_space
        assert search is not None
        assert space is not None
        ranges, asked = space.to_optuna(), objective(study, point.axes)
        sampler = make_sampler(search, ranges, 0.0)
        return opened.open(point.label or "search", search, ranges, asked, sampler)

    def wanted(self) -> list[str]:
        """Ids of the cells of this study as it stands; others in the folder are older ones."""
        if self.study.search is None:
            return [cell.id for cell in self._cells]
        ids = chain.from_iterable(search.cell_ids for search in self.searches)
        return list(dict.fromkeys(ids))  # a search may propose one place twice

    def results(self, records: Sequence[CellRecord]) -> dict[str, Any]:
        """Writes ``cells.csv``; counts, failures and means over seeds."""
        from lrray.reports.tables import frame_to_csv
        from lrray.results.groups import means_table

        self.folder.write_text("cells.csv", frame_to_csv(cell_table(records)))
        failed = [record for record in records if record.state == FAILED]
        return {
            "cells": len(self.wanted()),
            "done": sum(record.state == DONE for record in records),
            "stopped": sum(record.state == STOPPED for record in records),
            "failures": [{"axes": r.axes, "id": r.id, "reason": r.reason} for r in failed],
            "axes": axes_of(records),
            "means": means_table(records).to_dict("records"),
            "best": [search.outcome() for search in self.searches],
            "without_result": [s.name for s in self.searches if not s.measured()],
        }

    @staticmethod
    def show(summary: Mapping[str, Any], console: Console) -> None:
        """Prints means over seeds and the cells that failed."""
        show(summary, console)

    @staticmethod
    def is_complete(summary: Mapping[str, Any]) -> bool:
        """Whether every cell ended, by itself or because others were better that did."""
        ended = summary["done"] + summary["stopped"] == summary["cells"]
        return ended and not summary["without_result"]

    @staticmethod
    def plan(points: Sequence[GridPoint], earlier: RunFolder | None, known: KnownCells) -> Plan:
        """See :func:`lrray.runs.plan.plan`."""
        return plan(points, earlier, known)

    @staticmethod
    def objective(study: CellStudy) -> Objective:
        """See :func:`lrray.search.objective.objective`."""
        return objective(study)
