"""A line that says what a command is doing where that takes a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

AFTER_S = 0.6
"""Seconds without a word: with Python's own start nobody waits longer than about one."""


@contextmanager
def saying(what: str) -> Iterator[None]:
    """Within it, says what is being done once that has taken a while, to who sits at a terminal.

    On stderr: what a command gives may go to another program.
    """
    timer = threading.Timer(AFTER_S, _say, (what,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say(what: str) -> None:
    console = Console(stderr=True, highlight=False, markup=False)
    if console.is_terminal:
        console.print(f"{what} …", soft_wrap=True)
