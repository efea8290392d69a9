"""The kinds of study, by the ``kind:`` of a study file: those that ship, and those of others.

A package adds a kind without a change here: an entry point of the group ``lrray.kinds`` names a
:class:`Kind`. Modules load when they are used, so that light cells stay light.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrray.errors import LrrayError, did_you_mean
from lrray.studies.schema import StudyBase
from lrray.studies.work import Work

if TYPE_CHECKING:  # torch loads where models are trained
    from lrray.training.packing import Pack

ENTRY_POINTS = "lrray.kinds"
"""Group of the entry points that name kinds of other packages."""

_SHIPPED = {
    "difficulty": "lrray.kinds.difficulty",
    "function": "lrray.kinds.function",
    "train": "lrray.kinds.train.kind",
    "twohop": "lrray.kinds.twohop",
}
"""Kind -> the module whose ``KIND`` it is."""


@dataclass(frozen=True)
class CellContext:
    """What a running cell may use beside its settings."""

    checkpoint: Path
    """A folder of its own that outlives the worker; a cell continues from what it finds there."""
    shared: Path
    """A folder that all cells of the run share, for data that several of them need."""
    data: Path
    """A folder that all runs of the study share: what ``lrray data make`` wrote."""
    log: Callable[[Mapping[str, float]], None]
    """Adds a point to the cell's curves, e.g. ``{"step": 100, "loss_bits": 2.1}``."""
    should_stop: Callable[[], bool] = lambda: False
    """Whether the study is being stopped: a cell that asks then writes its checkpoint and raises
    :class:`lrray.training.stopping.Stopped`. Only kinds with ``stops`` are asked to. Of a cell's
    several workers the first one alone is told, and they must agree on the step, as
    :meth:`lrray.training.distributed.Workers.any` does."""
    commit: Callable[[], None] = lambda: None
    """Says that all files in ``checkpoint`` are whole now, and stand for the same moment: where
    nodes share no disk, they are what the cell goes on with elsewhere. Of a cell's several workers
    the first one alone commits."""
    pack: Pack | None = None
    """The cells that this one is trained together with; None: it is trained alone. Only those of
    kinds with a ``pack_key`` are."""
    code: str = ""
    """What stands for the code behind the cell's result (:class:`lrray.studies.cell.Cell`): what
    cells leave to one another must have been made by the same."""


def _nothing_to_check(studies: Sequence[Any], where: str, data_folder: Path) -> None:
    """The settings' own checks are enough."""


def _as_listed(settings: Mapping[str, Any]) -> float:
    """All cells alike."""
    return 0.0


@dataclass(frozen=True)
class Kind:
    """What lrray needs to know of a kind of study; the rest comes with every kind."""

    Study: type[StudyBase]
    """Its settings. Those that its cells' results depend on are ``cell_settings()``."""
    run_cell: Callable[[Mapping[str, Any], CellContext], dict[str, Any]]
    """Computes one cell: settings as plain data to numbers by name."""
    results_version: int
    """Part of every cell's identity; raised in the commit that changes the numbers of
    ``run_cell``, and by nothing else: what is raised makes users' finished cells run again."""
    check: Callable[[Sequence[Any], str, Path], None] = _nothing_to_check
    """Checks the studies of all grid points where that takes heavy imports or files, before any
    work: ``check(studies, where, data_folder)`` raises LrrayError, whose place begins with
    ``where``; ``data_folder`` is where ``lrray data make`` puts the study's files."""
    shown: tuple[str, ...] = ()
    """Numbers of ended cells on the terminal, where there are many; empty: the first that fit."""
    live: tuple[str, ...] = ()
    """Numbers of running cells on the terminal; empty: the first of their curves."""
    stops: bool = False
    """Whether its cells ask ``context.should_stop``."""
    order: Callable[[Mapping[str, Any]], float] = _as_listed
    """Of the cells of a grid those run first, by their settings, for which this is small: larger
    ones may go on from what they leave. Equal ones run in the grid's order."""
    report: str = "lrray.reports.grid.report"
    """Module that describes a run: ``answer(run)`` and ``sections(run)``."""
    graph: Callable[[Mapping[str, Any]], Any] | None = None
    """Makes the GSSM that a cell with these settings is about; None: there is none."""
    load_model: Callable[[Mapping[str, Any], Path], Any] | None = None
    """Makes the model that a cell with these settings trained, from the folder of the weights that
    the cell kept (:mod:`lrray.kinds.weights`); None: it trains none."""
    work: Callable[[Mapping[str, Any]], Work] | None = None
    """How much a cell with these settings computes, for plans from measured throughput."""
    pack_key: Callable[[Mapping[str, Any]], str] | None = None
    """Of a cell's settings: one process can compute cells of equal keys together, their numbers
    being what they are alone. None: ``resources.pack`` is refused."""
    program: str = "lrray.runs.grid:GridProgram"
    """The :class:`lrray.search.program.Program` that works a study off."""


def known_kinds() -> list[str]:
    """Names of all kinds: the shipped ones, then those of other packages."""
    return [*_SHIPPED, *(name for name in _added() if name not in _SHIPPED)]


@cache
def load_kind(name: str) -> Kind:
    """A kind by its name.

    Raises:
        LrrayError: there is none; the package that adds it cannot be loaded or names no kind.
    """
    if name in _SHIPPED:
        kind: Kind = import_module(_SHIPPED[name]).KIND
        return kind
    added = _added()
    if name not in added:
        raise LrrayError(
            "kind", "must name a kind of study", got=name, fix=did_you_mean(name, known_kinds())
        )
    entry = added[name]
    where = f"entry point {ENTRY_POINTS}: {name}"
    try:
        found = entry.load()
    except Exception as error:  # another package's code may raise anything
        raise LrrayError(
            where, f"cannot be loaded: {type(error).__name__}: {error}", got=entry.value
        ) from error
    if not isinstance(found, Kind):
        raise LrrayError(where, "must name a lrray.studies.kind.Kind", got=found)
    return found


@cache
def _added() -> dict[str, EntryPoint]:
    """The kinds of other packages that are installed."""
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
