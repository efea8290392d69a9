"""How a running cell hears that its study is being stopped."""

from __future__ import annotations

import math
import time

from lrray.results.folder import RunFolder
from lrray.studies.cell import Cell
from lrray.studies.kind import load_kind

STOP_LOOK_S = 1.0
"""How often a running cell that asks whether to stop is given a fresh answer."""


LOOK_SHARE = 0.1
"""Most of its time that it may spend on that, where a storage is slow to answer."""


def never() -> bool:
    """The answer to "is the study being stopped?" where nobody asks."""
    return False


class StopFlag:
    """Whether a driver stops its cells, looked up now and then; of no use to kinds that go on."""

    def __init__(self, cell: Cell, folder: RunFolder, driver: str) -> None:
        stops = load_kind(cell.kind).stops
        self._folder, self._driver = folder, driver
        self._next, self._asked = 0.0 if stops else math.inf, False

    def __call__(self) -> bool:
        """The newest answer."""
        now = time.monotonic()
        if now >= self._next:
            self._asked = self._folder.asked_to_stop(self._driver)
            ended = time.monotonic()
            self._next = ended + max(STOP_LOOK_S, (ended - now) / LOOK_SHARE)
        return self._asked
