"""Trying a cell again: how often it may fail and has, in a file that outlives its workers."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lrray.errors import LrrayError, is_full_disk, is_outage
from lrray.execution import failure
from lrray.execution.last_words import last_words, outputs
from lrray.files import files_below
from lrray.results.folder import RunFolder
from lrray.studies.cell import Cell, digest
from lrray.training.stopping import Stopped


class WorkerLost(Exception):
    """A worker of a cell died: no fault of the cell's own, as far as one can know."""


@dataclass(frozen=True)
class Outcome:
    """How a cell ended for good."""

    seconds: float
    """Work on it, over all attempts."""
    result: Mapping[str, Any] | None = None
    """None: it failed."""
    reason: str = ""
    traceback: str = ""


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


@dataclass
class Attempts:
    """How often a cell was tried; kept in a file while it is unfinished."""

    folder: RunFolder
    cell_id: str
    driver: str
    failures: int = 0
    deaths: int = 0
    running: bool = False
    last_reason: str = ""
    outputs: list[tuple[str, int]] = field(default_factory=list)
    """Where the attempt's worker writes to, and from where on."""
    last_words: str = ""
    """The last lines of an attempt that took its worker down."""
    begun_with: str = ""
    """Tells the checkpoint that the attempt began with from a later one."""
    begun_at: float = 0.0
    seconds: float = 0.0
    """Work of the attempts that have ended; of lost ones, what their checkpoints kept."""

    @classmethod
    def read(cls, folder: RunFolder, cell_id: str, driver: str) -> Attempts:
        """What earlier workers noted; one that did not live to say how it ended was lost."""
        attempts = cls.noted(folder, cell_id, driver)
        if attempts.running:
            attempts._end(attempts._kept_until())
            if attempts.driver == driver:
                attempts.lost()
        attempts.driver = driver
        return attempts

    @classmethod
    def noted(cls, folder: RunFolder, cell_id: str, driver: str) -> Attempts:
        """The notes as they are: the attempt may go on."""
        try:
            return cls(folder, cell_id, **json.loads(folder.read(_file(cell_id)) or b"null"))
        except (ValueError, TypeError):
            return cls(folder, cell_id, driver)

    def begin(self) -> None:
        """Notes that an attempt begins."""
        self.running, self.begun_with, self.begun_at = True, self.checkpoint(), time.time()
        self.outputs = outputs()
        self.write()

    def spent_s(self) -> float:
        """Seconds of work on the cell, over all attempts."""
        return self.seconds + (max(0.0, time.time() - self.begun_at) if self.running else 0.0)

    def _end(self, at: float) -> None:
        if self.running:
            self.seconds += max(0.0, at - self.begun_at)
        self.running = False

    @property
    def _place(self) -> Path:
        return self.folder.path / "checkpoints" / self.cell_id

    def _kept_until(self) -> float:
        """When the cell's newest checkpoint file was written."""
        newest = 0.0
        for path in files_below(self._place):
            with suppress(FileNotFoundError):
                newest = max(newest, path.stat().st_mtime)
        return newest

    def checkpoint(self) -> str:
        """A digest of the names of the cell's checkpoint files."""
        names = [str(path.relative_to(self._place)) for path in files_below(self._place)]
        return digest(sorted(name for name in names if "/." not in f"/{name}"))  # none half written

    def lost(self) -> None:
        """Notes that the worker died; not held against a cell that got on."""
        if self.begun_with != self.checkpoint():
            self.deaths = 0  # it got on: a machine that came and went, not a doomed cell
        self.died("its worker died")

    def died(self, reason: str) -> None:
        """Notes that the cell took its worker down."""
        self._end(time.time())
        self.deaths, self.last_reason = self.deaths + 1, reason
        self.last_words = last_words(self.outputs)
        self.write()

    def stopped(self) -> None:
        """Notes that the study was stopped, which is nobody's fault."""
        self._end(time.time())
        self.write()

    def disturbed(self, error: BaseException) -> None:
        """Notes that a full disk ended the attempt; while a storage is away, nothing is noted."""
        if is_full_disk(error):
            with suppress(OSError, LrrayError):  # a note needs room as well
                self.stopped()

    def failed(self) -> None:
        """Notes that the cell raised."""
        self._end(time.time())
        self.failures += 1
        self.write()

    def write(self) -> None:
        """Keeps the notes for the next worker."""
        content = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        self.folder.write_text(_file(self.cell_id), json.dumps(content))


def forget(folder: RunFolder, cell_id: str) -> None:
    """Drops the notes of a cell whose outcome is kept."""
    folder.remove(_file(cell_id))


def _file(cell_id: str) -> str:
    return f"attempts/{cell_id}.json"


def retried(
    run: Callable[[Cell], Mapping[str, Any]], folder: RunFolder, limits: Limits
) -> Callable[[Cell], Outcome]:
    """Tries a cell that raises again, as often as the limits allow.

    The note of a begun attempt outlives a killed worker, so that the next worker knows how often
    this cell took one down.
    """

    def run_retried(cell: Cell) -> Outcome:
        attempts = Attempts.read(folder, cell.id, limits.driver)
        while True:
            attempts.begin()
            if attempts.deaths > limits.max_deaths:
                reason = attempts.last_reason
                told = f"{reason} ({attempts.deaths} times)"
                trace = f"{reason}\n{attempts.last_words}\n"
                return Outcome(attempts.spent_s(), reason=told, traceback=trace)
            try:
                result = run(cell)
                return Outcome(attempts.spent_s(), result)
            except Stopped:
                attempts.stopped()
                raise
            except WorkerLost:  # and it may have noted why
                attempts = Attempts.read(folder, cell.id, limits.driver)
            except BaseException as error:
                if _is_from_outside(error):
                    attempts.stopped()
                    raise
                if is_outage(error):  # another worker will find its checkpoint
                    attempts.disturbed(error)
                    raise
                attempts.failed()
                if attempts.failures > limits.max_failures or isinstance(error, LrrayError):
                    reason, trace = failure.reason(error), failure.trace(error)
                    return Outcome(attempts.seconds, reason=reason, traceback=trace)

    return run_retried


def _is_from_outside(error: BaseException) -> bool:
    """Whether Ctrl-C was pressed, rather than the cell's own code raising what it likes.

    Signals reach a process's main thread, and a worker's cells run in another.
    """
    in_main = threading.current_thread() is threading.main_thread()
    return in_main and isinstance(error, KeyboardInterrupt)
