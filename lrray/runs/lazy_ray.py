"""Ray for one run: started when it is first asked for, so not where nothing is left to run."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from lrray.execution.cluster import num_slots, start_ray
from lrray.execution.process_group import Workers
from lrray.execution.ray_watch import ray_watched
from lrray.runs.progress import Progress
from lrray.studies.load import LoadedStudy

if TYPE_CHECKING:
    from lrray.execution.ray_watch import RayWatch
    from lrray.search.queue import Steps


class LazyRay:
    """A context manager, within which Ray is watched once it is there.

    Args:
        study: whose cells it runs.
        address: of the cluster: ``local``, ``auto`` or ``HOST:PORT``.
        command: that continues the run, where Ray is lost.
        progress: says what is waited for.
        path: of the run's folder.
    """

    def __init__(
        self, study: LoadedStudy, address: str, command: str, progress: Progress, path: Path
    ) -> None:
        self._study, self._address, self._command = study, address, command
        self._progress, self._path = progress, path
        self._stack = ExitStack()
        self.began = time.time()
        """When it was there, or when this was made."""

    def __enter__(self) -> LazyRay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        return self._stack.__exit__(kind, value, tb)

    @cached_property
    def _watch(self) -> RayWatch:
        """Starts Ray."""
        self._progress.waiting("starting Ray")
        import_module("lrray.execution.schedulers")
        # Ray's modules are there now: of one that two threads import, one might get half.
        threading.Thread(target=self._load_ahead, daemon=True).start()
        dashboard = start_ray(self._address)
        for line in self._where_to_look(dashboard):
            self._say(line)
        self.began = time.time()
        workers = Workers.of(self._study.first.resources)
        return self._stack.enter_context(ray_watched(self._command, self._say, workers))

    def _load_ahead(self) -> None:
        """Imports what the search and the report use, while Ray starts."""
        search = self._study.first.search
        names = [self._study.kind.report]
        if search is not None and search.sampler == "level_set":
            names.insert(0, "lrray.search.level_set_sampler")
        for name in names:
            with suppress(Exception):  # what fails says so where it is used
                import_module(name)

    @cached_property
    def _num_slots(self) -> int:
        assert self._watch is not None
        return num_slots(self._study.first.resources, self._say)

    def slots(self) -> int:
        """Cells that fit on the cluster at once.

        Raises:
            LrrayError: not even one does.
        """
        return self._num_slots

    def run(self, cells: Steps) -> None:
        """Runs the cells that are left."""
        watch, first = self._watch, self._study.first
        # Importing Tune takes seconds; Ray's start has been announced by now.
        from lrray.execution.schedulers import make_scheduler
        from lrray.execution.tune import run_cells

        slots, scheduler = self.slots(), make_scheduler(first)
        run_cells(cells, cells.folder, first.resources, self._progress, slots, watch, scheduler)

    def _say(self, line: str) -> None:
        self._progress.console.print(line, soft_wrap=True)

    def _where_to_look(self, dashboard: str) -> list[str]:
        """Where the run can be watched, a line each."""
        lines = [f"watch    lrray board {self._path}"]
        if self._study.first.search is not None:
            lines.append(f"         optuna-dashboard {self._path / 'optuna.journal'}")
        if dashboard:
            lines.append(f"         {dashboard} (Ray: jobs, actors, logs)")
        return lines
