"""What runs inside a Tune trial: cells in turn, each durable before the next begins.

A cell runs through wraps, each around the next::

    handed_over(tracked(durable(retried(limited(isolated(usable(checkpointed(run_cell))))))))

``checkpointed`` copies its curves and checkpoints to the storage, if there is one; ``usable``
refuses a result that is not finite; ``isolated`` gives the process back as it was; ``limited`` ends
one try that takes too long or too much; ``retried`` tries again and says how it ended; ``durable``
keeps that; ``tracked`` tells W&B and TensorBoard; ``handed_over`` begins with what an earlier try
left in the storage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lrray.errors import is_full_disk, no_room
from lrray.execution.attempts import Limits, Outcome, forget, retried
from lrray.execution.compute import call
from lrray.execution.isolation import isolated
from lrray.execution.own_copy import work_in
from lrray.execution.process_group import Workers, node_name, run_on_workers
from lrray.execution.stopping import StopFlag
from lrray.execution.watchdog import limited
from lrray.results.folder import RunFolder
from lrray.results.plain import plain_result
from lrray.results.record import CellRecord
from lrray.storage.cells import Commit, checkpointed, fetch_curves, handed_over
from lrray.storage.folder import open_folder
from lrray.studies.cell import Cell
from lrray.tracking.follower import tracked
from lrray.training.stopping import Stopped

_ALONE = Workers()


def trial(config: Mapping[str, Any]) -> None:
    """The Tune trainable: runs ``config['cells']`` in ``config['folder']``."""
    from ray import tune

    work_in(config["path"])
    folder, spread = open_folder(config["folder"], node_name()), Workers(**config["spread"])
    # A scheduler compares the curves of searched cells while they run.
    tell = _report if config["report"] else None
    run = tracked(_kept(folder, Limits(**config["limits"]), spread, tell), folder)
    run = handed_over(run, folder, computes_here=spread.workers == 1)
    for data in config["cells"]:
        try:
            run(Cell(**data))
        except KeyboardInterrupt:
            return  # the driver that asked for it is about to end
        except Exception as error:
            if not is_full_disk(error):
                raise
            tune.report({"cells_done": 0, **no_room(error)})
            return  # Tune would try again at once
    tune.report({"cells_done": len(config["cells"])})


def _report(point: Mapping[str, float]) -> None:
    """Tells Tune's scheduler of a point.

    Raises:
        Stopped: the scheduler ends the trial, which Tune says by ``SystemExit``: a cell's own code
            may raise that too, and then it failed.
    """
    from ray import tune

    try:
        tune.report(dict(point))
    except SystemExit:
        raise Stopped from None


def run_durably(
    cell: Cell, folder: RunFolder, limits: Limits, tell: Callable[[Any], None] | None = None
) -> CellRecord:
    """Runs a cell in this process unless its result is there; returns its record.

    Raises:
        KeyboardInterrupt: it was stopped, or the user stops this process.
        StorageError, DiskFullError, OSError: its outcome cannot be kept.
    """
    return _kept(folder, limits, _ALONE, tell)(cell)


def _kept(
    folder: RunFolder, limits: Limits, spread: Workers, tell: Callable[[Any], None] | None
) -> Callable[[Cell], CellRecord]:
    def run_cell(cell: Cell, commit: Commit) -> dict[str, Any]:
        stop = StopFlag(cell, folder, limits.driver)
        return call(cell, folder, folder.name, tell=tell, should_stop=stop, commit=commit)

    def run_elsewhere(cell: Cell) -> dict[str, Any]:
        result: dict[str, Any] = run_on_workers(cell, folder, limits, spread)
        fetch_curves(folder, cell.id)
        return result

    run = run_elsewhere if spread.workers > 1 else checkpointed(run_cell, folder)
    run = limited(isolated(usable(run)), folder, limits)
    return durable(retried(run, folder, limits), folder)


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
