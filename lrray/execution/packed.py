"""Cells that one process computes together, each in a thread of its own and durable by itself.

What is around a cell that runs alone is around each of these: its record, retries, tracking,
checkpoints in the storage. What belongs to a process is around all of them: it is given back as it
was, and there are no limits of time and memory, which a study that packs cells cannot set.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lrray.execution.attempts import Attempts, Limits, Outcome, retried
from lrray.execution.compute import call
from lrray.execution.isolation import given_back
from lrray.execution.keeping import durable, usable
from lrray.execution.stopping import StopFlag
from lrray.results.folder import RunFolder
from lrray.results.record import CellRecord
from lrray.storage.cells import Commit, checkpointed
from lrray.studies.cell import Cell

Run = Callable[[Cell], CellRecord]


def can_share_a_process(cells: Sequence[Cell], folder: RunFolder, limits: Limits) -> bool:
    """Whether there are several, none of which may have taken its process down.

    After a process was lost its cells run one after the other: whichever is to blame is then found
    out, and takes no other with it.
    """
    return len(cells) > 1 and not any(_is_suspect(cell, folder, limits) for cell in cells)


def _is_suspect(cell: Cell, folder: RunFolder, limits: Limits) -> bool:
    attempts = Attempts.noted(folder, cell.id, limits.driver)
    return attempts.deaths > 0 or (attempts.running and attempts.driver == limits.driver)


def run_packed(
    cells: Sequence[Cell], folder: RunFolder, limits: Limits, around: Callable[[Run], Run]
) -> None:
    """Runs cells together; returns when all have ended.

    Args:
        cells: of one key, see :attr:`lrray.studies.kind.Kind.pack_key`.
        folder: where their results go.
        limits: how often each may fail.
        around: what else is around each of them.

    Raises:
        KeyboardInterrupt: they were stopped; those that had not ended left checkpoints.
        Exception: the outcome of one could not be kept; the others ended.
    """
    from lrray.training.packing import Pack

    pack = Pack(len(cells))

    def run_cell(cell: Cell, commit: Commit) -> dict[str, Any]:
        stop = StopFlag(cell, folder, limits.driver)
        return call(cell, folder, folder.name, should_stop=stop, commit=commit, pack=pack)

    kept = retried(usable(checkpointed(run_cell, folder)), folder, limits)
    run = around(durable(_sharing(kept, len(cells)), folder))
    errors: list[BaseException] = []

    def run_member(cell: Cell) -> None:
        try:
            with pack.member():
                run(cell)
        except BaseException as error:  # told by the thread that waits for this one
            errors.append(error)

    threads = [threading.Thread(target=run_member, args=(cell,)) for cell in cells]
    with given_back():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for error in sorted(errors, key=lambda error: isinstance(error, KeyboardInterrupt)):
        raise error


def _sharing(run: Callable[[Cell], Outcome], num_cells: int) -> Callable[[Cell], Outcome]:
    """Charges a cell its share of the process's time: plans multiply it by the number of cells."""

    def run_sharing(cell: Cell) -> Outcome:
        outcome = run(cell)
        return replace(outcome, seconds=outcome.seconds / num_cells)

    return run_sharing
