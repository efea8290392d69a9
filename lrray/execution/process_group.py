"""A cell on several workers: the same function on every rank, as a Ray Train run of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from lrray.errors import is_outage
from lrray.execution import failure
from lrray.execution.attempts import Limits, WorkerLost
from lrray.execution.compute import call
from lrray.execution.own_copy import work_in
from lrray.execution.stopping import StopFlag, never
from lrray.execution.watchdog import limited
from lrray.results.folder import RunFolder
from lrray.scratch import scratch_folder
from lrray.storage.cells import Commit, checkpointed, shared_by_ranks
from lrray.storage.folder import open_folder
from lrray.studies.cell import Cell
from lrray.studies.resources import Resources
from lrray.training.stopping import Stopped

TRIAL_CPU = 0.01
"""CPU of a Tune trial that only waits for its workers; taken off the workers' share."""


@dataclass(frozen=True)
class Workers:
    """How a cell is spread; no part of its identity."""

    workers: int = 1
    cpu: float = 1.0
    gpu: float = 0.0

    def bundle(self) -> dict[str, float]:
        """Resources of one worker of a parallel cell."""
        share = max(self.cpu - TRIAL_CPU, TRIAL_CPU)
        return {"CPU": share, "GPU": self.gpu} if self.gpu else {"CPU": share}

    @classmethod
    def of(cls, resources: Resources) -> Workers:
        """As a study asks for them."""
        return cls(workers=resources.workers, cpu=resources.cpu, gpu=resources.gpu)

    def fit(self, node: Mapping[str, float]) -> int:
        """How many workers fit on a node with these resources."""
        need = {"CPU": self.cpu, "GPU": self.gpu}
        return int(min(node.get(key, 0) / value for key, value in need.items() if value) + 1e-9)

    def cells_on(self, nodes: Iterable[Mapping[str, float]]) -> int:
        """How many cells nodes have room for."""
        per_node = [self.fit(node) for node in nodes]
        if self.gpu:  # a cell's GPU workers share one node; CPU workers may be anywhere
            return sum(fit // self.workers for fit in per_node)
        return sum(per_node) // self.workers

    def __str__(self) -> str:
        each = f"{self.cpu:g} CPU" + (f" and {self.gpu:g} GPU" if self.gpu else "")
        return f"{self.workers} x {each}" + (" on one node" if self.gpu else "")

    @property
    def strategy(self) -> str:
        """GPU workers of a cell stay on one node, where their links are fast."""
        return "STRICT_PACK" if self.gpu else "PACK"


def run_on_workers(cell: Cell, folder: RunFolder, limits: Limits, spread: Workers) -> Any:
    """Runs a cell on ``spread.workers`` ranks with a process group; returns rank 0's result.

    Raises:
        Stopped: the study is being stopped; all ranks ended at the same step, with a checkpoint.
        WorkerLost: a rank's process or node is gone.
        StorageError, DiskFullError, OSError: the storage is away, or a rank's disk is full.
        Exception: what a rank raised.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
    from ray.train.torch import TorchTrainer

    with scratch_folder("train") as scratch:
        trainer: Any = TorchTrainer(
            cast(Any, _rank),
            train_loop_config={
                "cell": cell.to_dict(),
                "folder": folder.address(),
                "study": folder.name,
                "limits": asdict(limits),
                "path": [str(Path.cwd())],
            },
            scaling_config=ScalingConfig(
                num_workers=spread.workers,
                use_gpu=spread.gpu > 0,
                resources_per_worker=spread.bundle(),
                placement_strategy=spread.strategy,
            ),
            # Retries are the trial's matter: it knows how often this cell has failed.
            run_config=RunConfig(
                storage_path=str(scratch),
                failure_config=cast(Any, FailureConfig)(max_failures=0, controller_failure_limit=2),
            ),
        )
        try:
            outcome: dict[str, Any] = trainer.fit().return_value
        except WorkerGroupError as error:
            reason = outer_reason(error.worker_failures.values())
            if reason is None:
                raise
            raise reason from error
    if outcome["stopped"]:
        raise Stopped
    return outcome["result"]


def outer_reason(failures: Iterable[Exception]) -> Exception | None:
    """Why workers of a cell failed, where the cell is not to blame."""
    from ray.exceptions import RayActorError

    # What a worker raised comes wrapped.
    raised = [getattr(one, "_base_exc", one) for one in failures]
    for one in raised:
        if is_outage(one):
            return one
    # Where one is lost, the others raise that they cannot reach it.
    lost = [getattr(one, "health_check_failure", one) for one in raised]
    return WorkerLost() if any(isinstance(one, RayActorError) for one in lost) else None


def _rank(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What every rank runs; the first one tells how it ended."""
    import ray.train
    from ray.train.collective import barrier

    first = ray.train.get_context().get_world_rank() == 0
    work_in(config["path"])
    cell, folder = Cell(**config["cell"]), open_folder(config["folder"], node_name())
    limits = Limits(**config["limits"])
    # The first rank alone writes checkpoints and curves, and asks for all whether to stop.
    should_stop = StopFlag(cell, folder, limits.driver) if first else never

    def run_cell(cell: Cell, commit: Commit = lambda: None) -> dict[str, Any]:
        study = config["study"]
        return call(
            cell, folder, study, silent=not first, should_stop=should_stop, commit=commit
        )  # fmt: skip

    outcome: dict[str, Any] = {"stopped": False}
    run = checkpointed(run_cell, folder) if first else run_cell
    with shared_by_ranks(folder, cell.id):
        barrier()  # what the first rank writes from here on is nothing to begin with
        try:  # of the time that passes, the trial takes care
            outcome["result"] = limited(run, folder, replace(limits, time_limit_s=None))(cell)
        except Stopped:  # on all ranks, at the same step
            outcome["stopped"] = True
        except (KeyboardInterrupt, SystemExit) as error:  # of the cell's own code
            raise RuntimeError(failure.reason(error)) from error
        barrier()  # the last checkpoint is copied
    return outcome if first else None


def node_name() -> str:
    """Names the node that this process runs on, the same for all of a cluster's workers there."""
    import ray

    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else "driver"
