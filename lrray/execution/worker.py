"""What runs inside a Tune trial: cells in turn, each durable before the next begins."""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lrray.errors import LrrayError, is_full_disk, is_outage, no_room
from lrray.execution.attempts import Attempts, Limits
from lrray.execution.compute import call
from lrray.execution.process_group import WorkerLost, Workers, run_on_workers
from lrray.execution.stopping import StopFlag
from lrray.execution.watchdog import Watchdog
from lrray.results.folder import RunFolder
from lrray.results.record import CellRecord
from lrray.storage.folder import open_folder
from lrray.studies.cell import Cell
from lrray.tracking.follower import tracked

_ALONE = Workers()


def trial(config: Mapping[str, Any]) -> None:
    """The Tune trainable: runs ``config['cells']`` in ``config['folder']``."""
    from ray import tune

    sys.path[:0] = [path for path in config["path"] if path not in sys.path]
    folder = open_folder(config["folder"])
    limits, spread = Limits(**config["limits"]), Workers(**config["spread"])
    # A scheduler compares the curves of searched cells while they run.
    tell = tune.report if config["report"] else None
    for data in config["cells"]:
        cell = Cell(**data)
        try:
            folder.prepare(cell.id, computes_here=spread.workers == 1)
            with tracked(cell, folder):
                run_durably(cell, folder, limits, spread, tell)
            folder.leave(cell.id)
        except KeyboardInterrupt:
            return  # the driver that asked for it is about to end
        except Exception as error:
            if not is_full_disk(error):
                raise
            tune.report({"cells_done": 0, **no_room(error)})
            return  # Tune would try again at once
    tune.report({"cells_done": len(config["cells"])})


def run_durably(
    cell: Cell,
    folder: RunFolder,
    limits: Limits,
    spread: Workers = _ALONE,
    tell: Callable[[Any], None] | None = None,
) -> CellRecord:
    """Runs a cell unless its result is there, keeps the outcome, and returns its record.

    A cell that raises is tried again and then recorded as failed. The note of a begun attempt
    outlives a killed worker, so that the next worker knows how often this cell took one down.
    """
    record = folder.load_cell(cell.id)
    if record is not None:
        return record
    attempts = Attempts.read(folder, cell.id, limits.driver)
    while True:
        attempts.begin()
        if attempts.deaths > limits.max_deaths:
            reason, spent = attempts.last_reason, attempts.spent_s()
            folder.save_failure(cell, f"{reason} ({attempts.deaths} times)", reason + "\n", spent)
            break
        try:
            with Watchdog(limits, attempts):
                result = _compute(cell, folder, limits, spread, tell)
            folder.save_cell(cell, result, attempts.spent_s())
            break
        except KeyboardInterrupt:
            attempts.stopped()
            raise
        except WorkerLost:  # and it may have noted why
            folder.prepare(cell.id, computes_here=False)
            attempts = Attempts.read(folder, cell.id, limits.driver)
        except Exception as error:
            if is_outage(error):  # another worker will find its checkpoint
                attempts.disturbed(error)
                raise
            attempts.failed()
            if attempts.failures > limits.max_failures or isinstance(error, LrrayError):
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                folder.save_failure(cell, reason, traceback.format_exc(), attempts.seconds)
                break
    attempts.forget()
    record = folder.load_cell(cell.id)
    assert record is not None
    return record


def _compute(
    cell: Cell,
    folder: RunFolder,
    limits: Limits,
    spread: Workers,
    tell: Callable[[Any], None] | None,
) -> dict[str, Any]:
    result: dict[str, Any]
    if spread.workers > 1:
        result = run_on_workers(cell, folder, limits, spread)
        folder.regain(cell.id)
    else:
        should_stop = StopFlag(cell, folder, limits.driver)
        with folder.lasting(cell.id):
            result = call(cell, folder, folder.name, tell=tell, should_stop=should_stop)
    for path, value in _numbers(result):
        if not math.isfinite(value):
            raise ValueError(f"the result's {path} is {value}: the computation diverged")
    return result


def _numbers(data: Any, path: str = "") -> Iterable[tuple[str, float]]:
    """Key path and value of every float in plain data, standard errors aside."""
    if isinstance(data, float):
        yield path, data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if not str(key).endswith("_se"):  # undefined for a single seed
                yield from _numbers(value, f"{path}.{key}" if path else str(key))
    elif isinstance(data, list | tuple):
        for i, value in enumerate(data):
            yield from _numbers(value, f"{path}[{i}]")
