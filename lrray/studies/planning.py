"""What a study would do, how long that takes and what it costs; nothing is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrray.errors import LrrayError
from lrray.gssm.model import default_threads
from lrray.studies.folder import RunFolder
from lrray.studies.grid import GridPoint
from lrray.studies.kinds import load_runner
from lrray.studies.progress import duration
from lrray.studies.search import JOURNAL, MakeCell, ended_trials
from lrray.studies.spec import Resources


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    rows: Mapping[str, Any]
    """What is counted, by its name: grid points, cells, trials."""
    cell_seconds: float | None = None
    """Time of all cells that are left, one after the other; None: unknown."""
    source: str = ""
    """Where that time comes from."""


def show_plan(
    kind: str, points: Sequence[GridPoint], earlier: RunFolder | None, console: Console
) -> None:
    """Prints the plan.

    Args:
        kind: of the study.
        points: the study at every point of its grid.
        earlier: a run that ``--resume`` would continue.
        console: to print on.
    """
    plan: Plan = load_runner(kind).plan(points, earlier)
    study = points[0].study
    table = Table("plan", "", show_header=False, box=None)
    table.add_row("question", Text(study.question))
    for key, value in plan.rows.items():
        table.add_row(key, str(value))
    resources: Resources = study.resources
    gpus, cpus = resources.gpu * resources.workers, resources.cpu * resources.workers
    table.add_row("each cell takes", f"{cpus:g} CPU, {gpus:g} GPU")
    if plan.cell_seconds is None:
        table.add_row("estimated time", "unknown until a first cell of this study has run")
    else:
        _add_times(table, plan.cell_seconds, resources)
        table.add_row("estimated from", plan.source)
    console.print(table)


def _add_times(table: Table, cell_seconds: float, resources: Resources) -> None:
    core_seconds = cell_seconds * resources.cpu * resources.workers
    table.add_row("work", f"{duration(core_seconds)} of one core")
    gpus = resources.gpu * resources.workers
    if not gpus:
        # Starting Ray and drawing figures take about ten seconds whatever the study.
        cores, most = default_threads(), resources.max_concurrent
        busy = min(cores, resources.cpu * resources.workers * most) if most else cores
        here = f"about {duration(10 + core_seconds / busy)} on {cores} cores"
        at_once = f", {most} {'cell' if most == 1 else 'cells'} at a time" if most else ""
        table.add_row("estimated time here", here + at_once)
        return
    table.add_row("estimated time", f"about {duration(cell_seconds)} if one cell runs at a time")
    hours = cell_seconds * gpus / 3600
    table.add_row("GPU-hours", f"{hours:.1f}")
    if resources.price_per_gpu_hour is not None:
        table.add_row("cost", f"{hours * resources.price_per_gpu_hour:.2f}")


def num_ended(earlier: RunFolder | None, searches: Mapping[str, MakeCell]) -> dict[str, int]:
    """Trials of each search that ``--resume`` would not make again.

    Args:
        earlier: the run that it would continue; only read, since it may be running.
        searches: their names in its journal, and what turns parameters into cells.
    """
    none = dict.fromkeys(searches, 0)
    if earlier is None or not (journal := earlier.path / JOURNAL).exists():
        return none
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        trials = {name: ended_trials(storage, name) for name in searches}
    except Exception:  # replaying a damaged journal may raise anything
        return none
    return {
        name: sum(_is_there(earlier, trial, searches[name]) for trial in own)
        for name, own in trials.items()
    }


def _is_there(earlier: RunFolder, trial: FrozenTrial, cell: MakeCell) -> bool:
    """Whether a trial's result is that of the study as it stands."""
    try:
        return earlier.load_cell(cell(trial.params).id) is not None
    except (KeyError, LrrayError):  # proposed before the search space was changed
        return False
