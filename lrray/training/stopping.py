"""Stopping a run cleanly: a signal asks, the loop answers after the step it is in."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopped(KeyboardInterrupt):
    """The run was asked to stop and has written a checkpoint, from which it goes on."""


@contextmanager
def stop_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether SIGTERM has come; the old handler returns at the end.

    Only a process's main thread may handle signals; in any other the function is always false, and
    whoever owns the process stops the run through ``should_stop``.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()
    previous = signal.signal(signal.SIGTERM, lambda number, frame: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, previous)
