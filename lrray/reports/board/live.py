"""What all pages of one run share: its cells and curves, read at most once a second."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lrray.reports.board.curves import Curves
from lrray.reports.board.index import CellIndex
from lrray.results.run import Run

REFRESH_S = 2.0
"""Seconds between two looks of a page at its run."""


class LiveRun:
    """A run that may still be going on."""

    def __init__(self, run: Run, root: Path) -> None:
        self.run, self.root = run, root
        self.index, self.curves = CellIndex(run), Curves(run)
        self.state, self.status = run.state, run.status
        self._refreshed = -REFRESH_S
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Looks again, unless another page just did; slow for the first time with many cells."""
        with self._lock:
            if time.monotonic() - self._refreshed < REFRESH_S / 2:
                return
            self.index.refresh()
            self.state, self.status = self.run.state, self.run.status
            self._refreshed = time.monotonic()

    def file_url(self, path: Path) -> str:
        """Where the page finds a file of the run; renewed when the file changes."""
        place = quote(path.resolve().relative_to(self.root).as_posix())
        return f"/files/{place}?{path.stat().st_mtime_ns}"

    @property
    def progress(self) -> dict[str, Any]:
        """Counts for the progress bar: cells of the run by state, and those that wait.

        The driver tells only how much it has left itself: what was done before it is in the folder.
        """
        counts = self.index.counts
        running, status = counts["running"], self.status
        waiting = None
        if self.state != "finished" and status.get("total") is not None:
            waiting = max(0, status["total"] - status.get("ended", 0) - running)
        phase = str(status.get("phase", "")) if self.state == "running" else ""
        return {**counts, "waiting": waiting, "phase": phase}
