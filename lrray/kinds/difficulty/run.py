"""Works off a difficulty study: searches the contour, matches pairs on it, writes the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from lrray.kinds.difficulty.cell import objective
from lrray.kinds.difficulty.plan import plan
from lrray.kinds.difficulty.point import PointSearch
from lrray.kinds.difficulty.results import outcomes, write
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.kinds.difficulty.show import show
from lrray.results.folder import OUTDATED, RunFolder
from lrray.results.known import KnownCells
from lrray.results.record import CellRecord
from lrray.search.memory import Searches
from lrray.search.objective import Objective
from lrray.search.program import Phase, Plan
from lrray.studies.grid import GridPoint


class DifficultyProgram:
    """The points of a difficulty study; see :class:`lrray.search.program.Program`."""

    def __init__(
        self,
        points: Sequence[GridPoint],
        folder: RunFolder,
        slots: Callable[[], int],
        known: KnownCells,
    ) -> None:
        self.folder = folder
        searches = Searches(folder, known)
        self.points = [PointSearch(point, folder, searches, slots, known) for point in points]

    def phases(self) -> Iterator[Phase]:
        """Of each point in turn, the search and the measurements of its pairs."""
        self.folder.remove(OUTDATED)  # what the pairs need shows as they are matched
        for point in self.points:
            yield from point.phases()

    def wanted(self) -> list[str]:
        """Ids of the cells of all trials and pairs."""
        return list(dict.fromkeys(cell for point in self.points for cell in point.wanted()))

    def results(self, records: Sequence[CellRecord]) -> dict[str, Any]:
        """Writes ``trials.csv``, ``pairs.yaml`` and ``contour.json``; pairs and ranges."""
        return write(self.points, self.folder)

    @staticmethod
    def show(summary: Mapping[str, Any], console: Console) -> None:
        """Prints the matched pairs, target by target."""
        show(summary, console)

    @staticmethod
    def is_complete(summary: Mapping[str, Any]) -> bool:
        """Whether all points meet their targets."""
        return all(outcome.complete for outcome in outcomes(summary))

    @staticmethod
    def plan(points: Sequence[GridPoint], earlier: RunFolder | None, known: KnownCells) -> Plan:
        """See :func:`lrray.kinds.difficulty.plan.plan`."""
        return plan(points, earlier, known)

    @staticmethod
    def objective(study: DifficultyStudy) -> Objective:
        """See :func:`lrray.kinds.difficulty.cell.objective`."""
        return objective(study)
