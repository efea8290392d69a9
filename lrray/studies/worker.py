"""What runs inside a Tune trial: cells in turn, each durable before the next begins."""

from __future__ import annotations

import json
import math
import os
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from lrray.errors import LrrayError
from lrray.statistics import summarize
from lrray.studies.folder import RunFolder
from lrray.studies.gauges import forget_points, show_point
from lrray.studies.identity import Cell, digest
from lrray.studies.kinds import CellContext, load_kind
from lrray.studies.parallel import WorkerLost, Workers, run_on_workers
from lrray.studies.storage import StorageError
from lrray.studies.stored import open_folder
from lrray.studies.tracking import tracked

_ALONE = Workers()

STOP_LOOK_S = 1.0
"""How often a running cell that asks whether to stop is given a fresh answer."""

WATCH_S = 0.5
"""How often the watchdog looks at the time and the memory of a running cell."""


@dataclass(frozen=True)
class Limits:
    """How much a cell may take and how often it may fail."""

    max_failures: int = 1
    """Times a cell that raised is tried again."""
    max_deaths: int = 3
    """Times a cell whose worker died (memory, lost node, time limit) is tried again; a lost worker
    that left a newer checkpoint than it found counts from one anew."""
    time_limit_s: float | None = None
    memory_gb: float | None = None
    driver: str = field(default_factory=lambda: secrets.token_hex(4))
    """Names the driver: a cell is not to blame for a worker that ended with its driver."""


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
        folder.prepare(cell.id, computes_here=spread.workers == 1)
        try:
            with tracked(cell, folder):
                run_durably(cell, folder, limits, spread, tell)
        except KeyboardInterrupt:
            return  # the driver that asked for it is about to end
        folder.leave(cell.id)
    tune.report({"cells_done": len(config["cells"])})


def run_durably(
    cell: Cell,
    folder: RunFolder,
    limits: Limits,
    spread: Workers = _ALONE,
    tell: Callable[[Any], None] | None = None,
) -> dict[str, Any]:
    """Runs a cell unless its result is there, keeps the outcome, and returns its record.

    A cell that raises is tried again and then recorded as failed. The note of a begun attempt
    outlives a killed worker, so that the next worker knows how often this cell took one down.
    """
    record = folder.load_cell(cell.id)
    if record is not None:
        return record
    attempts = _Attempts.read(folder, cell.id, limits.driver)
    while True:
        begun = attempts.begin()
        if attempts.deaths > limits.max_deaths:
            reason = attempts.last_reason
            folder.save_failure(cell, f"{reason} ({attempts.deaths} times)", reason + "\n", 0.0)
            break
        try:
            with _Watchdog(limits, attempts):
                result = _compute(cell, folder, spread, tell)
            folder.save_cell(cell, result, time.perf_counter() - begun)
            break
        except StorageError:
            raise  # no fault of the cell's: another worker will find its checkpoint
        except KeyboardInterrupt:
            attempts.stopped()
            raise
        except WorkerLost:
            attempts.lost()
        except Exception as error:
            attempts.failed()
            if attempts.failures > limits.max_failures or isinstance(error, LrrayError):
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                seconds = time.perf_counter() - begun
                folder.save_failure(cell, reason, traceback.format_exc(), seconds)
                break
    attempts.forget()
    record = folder.load_cell(cell.id)
    assert record is not None
    return record


def _compute(
    cell: Cell, folder: RunFolder, spread: Workers, tell: Callable[[Any], None] | None
) -> dict[str, Any]:
    if spread.workers > 1:
        result = run_on_workers(cell.to_dict(), folder.address(), folder.name, spread)
        folder.regain(cell.id)
    else:
        with folder.lasting(cell.id):
            result = call(cell, folder, folder.name, tell=tell, should_stop=_StopFlag(folder))
    for path, value in _numbers(result):
        if not math.isfinite(value):
            raise ValueError(f"the result's {path} is {value}: the computation diverged")
    return result


def call(
    cell: Cell,
    folder: RunFolder,
    study: str,
    silent: bool = False,
    tell: Callable[[Any], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Calls the kind's function; over a list of seeds it averages.

    Each seed of a list has a checkpoint folder of its own. The cell's curves, which a scheduler
    judges, are those of the first.

    Args:
        cell: what to run.
        folder: where its curves and checkpoints go.
        study: name of the run, for metrics.
        silent: log nothing: this is not the first rank.
        tell: hears every logged point as well.
        should_stop: whether the cell is to end early.

    Raises:
        Stopped: it did, and left a checkpoint.
    """

    def log(point: Mapping[str, float]) -> None:
        if not silent:
            folder.append_metrics(cell.id, point)
            show_point(study, cell.id, point)
            if tell is not None:
                tell(dict(point))

    context = CellContext(
        checkpoint=folder.path / "checkpoints" / cell.id,
        shared=folder.path / "shared",
        data=folder.path.parent / "data",
        log=log,
        should_stop=should_stop,
    )
    run_cell = load_kind(cell.kind).run_cell
    seeds = cell.settings.get("seed")
    try:
        if not isinstance(seeds, list):
            return dict(run_cell(cell.settings, context))
        return _averaged(
            [
                run_cell({**cell.settings, "seed": seed}, _of_seed(context, seed, seed == seeds[0]))
                for seed in seeds
            ]
        )
    finally:
        forget_points(study, cell.id)


def _of_seed(context: CellContext, seed: int, first: bool) -> CellContext:
    log = context.log if first else lambda point: None
    return replace(context, checkpoint=context.checkpoint / f"seed_{seed}", log=log)


def _averaged(results: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Means, standard errors and single values of every number."""
    merged: dict[str, Any] = {"num_seeds": len(results), "per_seed": {}}
    for name in (key for key, value in results[0].items() if isinstance(value, int | float)):
        values = [result[name] for result in results]
        statistics = summarize(values)
        merged[name], merged[f"{name}_se"] = statistics.mean, statistics.standard_error
        merged["per_seed"][name] = values
    return merged


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


@dataclass
class _Attempts:
    """How often a cell was tried; kept in a file while it is unfinished."""

    folder: RunFolder
    cell_id: str
    driver: str
    failures: int = 0
    deaths: int = 0
    running: bool = False
    last_reason: str = ""
    begun_with: str = ""
    """Tells the checkpoint that the attempt began with from a later one."""

    @classmethod
    def read(cls, folder: RunFolder, cell_id: str, driver: str) -> _Attempts:
        try:
            noted = json.loads((folder.path / "attempts" / f"{cell_id}.json").read_text())
            attempts = cls(folder, cell_id, **noted)
        except (OSError, ValueError, TypeError):
            return cls(folder, cell_id, driver)
        if attempts.running and attempts.driver == driver:
            attempts.lost()  # it did not live to say so itself
        attempts.driver = driver
        return attempts

    def begin(self) -> float:
        self.running, self.begun_with = True, self.checkpoint()
        self.write()
        return time.perf_counter()

    def checkpoint(self) -> str:
        """A digest of the names of the cell's checkpoint files."""
        place = self.folder.path / "checkpoints" / self.cell_id
        names = [str(path.relative_to(place)) for path in place.rglob("*")]
        return digest(sorted(name for name in names if "/." not in f"/{name}"))  # none half written

    def lost(self) -> None:
        if self.begun_with != self.checkpoint():
            self.deaths = 0  # it got on: a machine that came and went, not a doomed cell
        self.died("its worker died")

    def died(self, reason: str) -> None:
        self.deaths += 1
        self.running, self.last_reason = False, reason
        self.write()

    def stopped(self) -> None:
        self.running = False
        self.write()

    def failed(self) -> None:
        self.failures += 1
        self.running = False
        self.write()

    def write(self) -> None:
        content = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        self.folder.write_text(f"attempts/{self.cell_id}.json", json.dumps(content))

    def forget(self) -> None:
        self.folder.remove(f"attempts/{self.cell_id}.json")


class _StopFlag:
    """Whether the study is being stopped, looked up now and then."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder, self._next, self._asked = folder, 0.0, False

    def __call__(self) -> bool:
        now = time.monotonic()
        if now >= self._next:
            self._asked = self._folder.asked_to_stop()
            self._next = time.monotonic() + STOP_LOOK_S
        return self._asked


class _Watchdog:
    """Ends the worker when its cell passes a limit: a hung cell cannot be stopped from within."""

    def __init__(self, limits: Limits, attempts: _Attempts) -> None:
        self.limits, self.attempts = limits, attempts
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        if self.limits.time_limit_s is not None or self.limits.memory_gb is not None:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        began = time.monotonic()
        time_limit = self.limits.time_limit_s or math.inf
        memory_limit = self.limits.memory_gb or math.inf
        while not self._done.wait(WATCH_S):
            if time.monotonic() - began > time_limit:
                self._end(f"passed its time limit of {time_limit:g} s")
            if resident_gb() > memory_limit:
                self._end(f"passed its memory limit of {memory_limit:g} GB")

    def _end(self, reason: str) -> None:
        self.attempts.died(reason)
        os._exit(1)


def resident_gb() -> float:
    """Memory of this process, in GB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9
