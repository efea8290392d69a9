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
from lrray.execution.attempts import Limits, retried
from lrray.execution.compute import call
from lrray.execution.isolation import isolated
from lrray.execution.keeping import durable, usable
from lrray.execution.own_copy import work_in
from lrray.execution.packed import can_share_a_process, run_packed
from lrray.execution.process_group import Workers, node_name, run_on_workers
from lrray.execution.stopping import StopFlag
from lrray.execution.watchdog import limited
from lrray.results.folder import RunFolder
from lrray.results.record import CellRecord
from lrray.storage.cells import Commit, checkpointed, fetch_curves, handed_over
from lrray.storage.folder import open_folder
from lrray.studies.cell import Cell
from lrray.tracking.follower import tracked
from lrray.training.stopping import Stopped

_ALONE = Workers()


def trial(config: Mapping[str, Any]) -> None:
    """The Tune trainable: runs ``config['cells']`` in ``config['folder']``.

    Where ``config['pack']`` says so, it computes them together (:mod:`lrray.execution.packed`).
    """
    from ray import tune

    work_in(config["path"])
    folder, spread = open_folder(config["folder"], node_name()), Workers(**config["spread"])
    limits, cells = Limits(**config["limits"]), [Cell(**data) for data in config["cells"]]
    # A scheduler compares the curves of searched cells while they run.
    tell = _report if config["report"] else None

    def around(run: Callable[[Cell], CellRecord]) -> Callable[[Cell], CellRecord]:
        return handed_over(tracked(run, folder), folder, computes_here=spread.workers == 1)

    try:
        if config["pack"] and can_share_a_process(cells, folder, limits):
            run_packed(cells, folder, limits, around)
        else:
            run = around(_kept(folder, limits, spread, tell))
            for cell in cells:
                run(cell)
    except KeyboardInterrupt:
        return  # the driver that asked for it is about to end
    except Exception as error:
        if not is_full_disk(error):
            raise
        tune.report({"cells_done": 0, **no_room(error)})
        return  # Tune would try again at once
    tune.report({"cells_done": len(cells)})


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
