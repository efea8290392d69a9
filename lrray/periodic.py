"""Work that a thread does again and again beside the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from lrray.errors import LrrayError


class Rhythm:
    """Calls a function every so often, in a thread that does not hold up the end of the process.

    Where a call fails for a reason outside of the program, the next one may not.

    Args:
        do: called after every pause; a true answer ends the thread.
        pause_s: seconds before each call, the first one too.
    """

    def __init__(self, do: Callable[[], bool | None], pause_s: float) -> None:
        self._do, self._pause_s = do, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begins with a pause."""
        self._thread.start()

    def stop(self) -> None:
        """Returns when no call is going on and none will follow."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(self._pause_s):
            with suppress(OSError, LrrayError):
                if self._do():
                    return
