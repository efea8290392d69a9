"""What a kind of study says of working a study off: phases of cells, results, a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.results.record import CellRecord
from lrray.search.objective import Objective
from lrray.studies.grid import GridPoint
from lrray.studies.kind import Kind

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lrray.search.queue import CellSource


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Phase:
    """Cells that are run together, and what is shown meanwhile."""

    name: str
    source: CellSource
    describe: Callable[[], RenderableType | None] = _nothing
    """What to show below the bar; called after every ended trial."""
    numbers: Sequence[str] = ()
    """Of the running cells' curves, to show below that."""


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    rows: Mapping[str, Any]
    """What is counted, by its name: grid points, cells, trials."""
    cell_seconds: float | None = None
    """Time of all cells that are left, one after the other; None: unknown."""
    source: str = ""
    """Where that time comes from."""


class Program(Protocol):
    """Works a study off in one run.

    Args:
        points: the study at every point of its grid.
        folder: of the run.
        slots: gives the number of cells that fit on the cluster at once; not to be called before
            cells are handed out, since nobody starts Ray where none is left.
        known: adopts each of the program's cells, so that results of other code count where they
            may.
    """

    def __init__(
        self,
        points: Sequence[GridPoint],
        folder: RunFolder,
        slots: Callable[[], int],
        known: KnownCells,
    ) -> None: ...

    def phases(self) -> Iterator[Phase]:
        """What is to be run, a phase after the other: a later one may depend on what came out."""

    def wanted(self) -> list[str]:
        """Ids of the cells of the study as it stands; others in the folder are older ones."""

    def results(self, records: Sequence[CellRecord]) -> dict[str, Any]:
        """Writes the tables; returns the study's own part of the summary.

        Args:
            records: of the wanted cells that have ended.
        """

    @staticmethod
    def show(summary: Mapping[str, Any], console: Console) -> None:
        """Prints what came out."""

    @staticmethod
    def is_complete(summary: Mapping[str, Any]) -> bool:
        """Whether the study has all that it asked for."""

    @staticmethod
    def plan(points: Sequence[GridPoint], earlier: RunFolder | None, known: KnownCells) -> Plan:
        """What a run would do.

        Args:
            points: the study at every point of its grid.
            earlier: the run that it would continue, only read.
            known: what that holds; adopts the cells.
        """

    @staticmethod
    def objective(study: Any) -> Objective:
        """What the one search of a study asks for.

        Raises:
            LrrayError: it holds no search, or several.
        """


def load_program(kind: Kind) -> type[Program]:
    """The program of a kind."""
    module, _, name = kind.program.partition(":")
    program: type[Program] = getattr(import_module(module), name)
    return program
