"""Limits of time and memory, held from within the worker's own process."""

from __future__ import annotations

import math
import os
import threading
import time
from pathlib import Path

from lrray.execution.attempts import Attempts, Limits

WATCH_S = 0.5
"""How often the watchdog looks at the time and the memory of a running cell."""


class Watchdog:
    """Ends the worker when its cell passes a limit: a hung cell cannot be stopped from within."""

    def __init__(self, limits: Limits, attempts: Attempts) -> None:
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
