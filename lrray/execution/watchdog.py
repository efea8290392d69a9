"""Limits of time and memory, held from within the worker's own process."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TypeVar

import psutil

from lrray.execution.attempts import Attempts, Limits
from lrray.execution.isolation import end_children
from lrray.results.folder import RunFolder
from lrray.studies.cell import Cell

WATCH_S = 0.5
"""How often the watchdog looks at the time and the memory of a running cell."""


_leave = os._exit
_Result = TypeVar("_Result")


def limited(
    run: Callable[[Cell], _Result], folder: RunFolder, limits: Limits
) -> Callable[[Cell], _Result]:
    """Ends the process when a cell passes a limit: a hung cell cannot be stopped from within."""

    def run_limited(cell: Cell) -> _Result:
        with _exit_noted(lambda: Attempts.noted(folder, cell.id, limits.driver)):
            if limits.time_limit_s is None and limits.memory_gb is None:
                return run(cell)
            with _Watchdog(limits, Attempts.noted(folder, cell.id, limits.driver)):
                return run(cell)

    return run_limited


@contextmanager
def _exit_noted(attempts: Callable[[], Attempts]) -> Iterator[None]:
    """Within it, who ends this process by ``os._exit`` leaves a note of that."""
    own, leave = os.getpid(), os._exit

    def noted(status: int) -> NoReturn:
        if os.getpid() == own:  # and not a child that was forked
            attempts().died(f"it ended its worker with os._exit({status})")
        leave(status)

    os._exit = noted
    try:
        yield
    finally:
        os._exit = leave


class _Watchdog:
    """The thread that looks at a running cell."""

    def __init__(self, limits: Limits, attempts: Attempts) -> None:
        self.limits, self.attempts = limits, attempts
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
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
        end_children()
        _leave(1)


def resident_gb() -> float:
    """Memory of this process and of its children, in GB; what they share counts once."""
    own = psutil.Process()
    children = own.children(recursive=True)
    if not children:
        return float(own.memory_info().rss) / 1e9
    total = 0
    for process in (own, *children):
        with suppress(psutil.Error):  # it has ended
            total += process.memory_full_info().pss
    return total / 1e9
