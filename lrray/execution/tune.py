"""Runs cells on Ray Tune.

Ray places and supervises; what was done is known from the results folder alone, so an interrupted
run is continued by simply running what is not there yet.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lrray.errors import LrrayError
from lrray.execution.attempts import Limits
from lrray.execution.process_group import TRIAL_CPU, Workers
from lrray.execution.ray_watch import RayWatch
from lrray.execution.worker import trial
from lrray.results.folder import RunFolder
from lrray.scratch import scratch_folder
from lrray.studies.kind import load_kind
from lrray.studies.resources import Resources

if TYPE_CHECKING:
    from lrray.search.queue import CellSource


class Watcher(Protocol):
    """Who is told what runs, to show it."""

    def begin(self, source: CellSource) -> None:
        """Follows a source of cells from now on."""

    def phase(self, name: str) -> None:
        """Names what is being done now."""


GRACE_S = 20.0
"""How long running cells may take to write their checkpoints when a study is stopped."""


MAX_PENDING = 16
"""Most trials that wait for a worker. As many as there are slots, so that all workers start at once
and each finds its next cell waiting; the default is one, so that they start one after another."""


MAX_MOVES = 10
"""Times Tune starts a trial again: workers themselves count which cells took them down, but one
that cannot even begin has nobody to count it."""


def _keep_credentials() -> None:
    """Keeps Tune from handing AWS keys to its actors: Ray logs in plain text what is handed so.

    A node's own environment has them where it needs them.
    """
    from ray.tune.execution import class_cache

    names = class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.ENV_VARS_TO_PROPAGATE = {name for name in names if not name.startswith("AWS_")}


def run_cells(
    source: CellSource,
    folder: RunFolder,
    resources: Resources,
    progress: Watcher,
    slots: int,
    watch: RayWatch,
    scheduler: Any = None,
) -> None:
    """Runs every cell of a source; returns when all have ended, well or not.

    Args:
        source: hands out the cells.
        folder: where their results go.
        resources: of one cell.
        progress: shows what is being done.
        slots: cells that fit on the cluster at once.
        watch: looks at Ray meanwhile.
        scheduler: Tune's, where bad trials of a search are to be stopped early.

    Raises:
        KeyboardInterrupt: the user stopped it; finished cells are in the folder.
    """
    from ray import tune

    from lrray.execution.queue_adapter import QueueAdapter, TrialsNoted
    from lrray.execution.schedulers import FillSlots

    _keep_credentials()
    limits = Limits(
        max_failures=resources.max_failures,
        time_limit_s=resources.time_limit_s,
        memory_gb=resources.memory_gb,
    )
    spread = Workers.of(resources)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(min(slots, MAX_PENDING))
    need: dict[str, Any] = {"cpu": spread.cpu, "gpu": spread.gpu}
    concurrent = resources.max_concurrent
    if spread.workers > 1:
        # The trial only waits. More trials than cells fit would each hold some workers and wait
        # for the others' for ever.
        need, concurrent = {"cpu": TRIAL_CPU}, slots
    source.has_scheduler = scheduler is not None
    progress.begin(source)
    watch.follow(source)
    with scratch_folder("tune") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(trial, need),
            param_space={
                "folder": folder.address(),
                "limits": asdict(limits),
                "spread": asdict(spread),
                "report": scheduler is not None,
                "pack": resources.pack > 1,
                "path": [str(Path.cwd())],
            },
            tune_config=tune.TuneConfig(
                search_alg=QueueAdapter(source),
                num_samples=-1,
                max_concurrent_trials=concurrent,
                scheduler=scheduler or FillSlots(slots),
                reuse_actors=scheduler is None,
            ),
            run_config=tune.RunConfig(
                storage_path=str(scratch),
                verbose=0,
                # By itself Tune takes one for notebooks there, which shows an empty frame.
                progress_reporter=tune.CLIReporter(),
                callbacks=[TrialsNoted(watch)],
                failure_config=tune.FailureConfig(max_failures=MAX_MOVES),
            ),
        )
        try:
            tuner.fit()
        except KeyboardInterrupt:
            if watch.lost is not None:
                raise
            _wait_for_checkpoints(source, folder, limits.driver, progress)
            raise
    if source.broken is not None:
        raise source.broken


def _wait_for_checkpoints(
    source: CellSource, folder: RunFolder, driver: str, progress: Watcher
) -> None:
    """Asks the running cells to stop and waits until those that can have done so."""
    stopping = [cell for cell in source.running_cells if load_kind(cell.kind).stops]
    if not stopping:
        return
    progress.phase("stopping: running cells write their checkpoints")
    end = time.monotonic() + GRACE_S
    with suppress(OSError, LrrayError):  # a full disk or a lost storage: they end without
        folder.ask_to_stop(driver)
        while any(folder.is_running(cell.id) for cell in stopping) and time.monotonic() < end:
            time.sleep(0.1)
