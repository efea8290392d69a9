"""Runs cells on Ray Tune.

Ray places and supervises; what was done is known from the results folder alone, so an interrupted
run is continued by simply running what is not there yet.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lrray.errors import LrrayError
from lrray.studies.folder import RunFolder
from lrray.studies.progress import Progress
from lrray.studies.spec import Resources
from lrray.studies.worker import Limits, trial

if TYPE_CHECKING:
    from lrray.studies.sources import CellSource

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Interrupts are ours: Tune's handler would go on to write a state that nobody reads.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
}


def start_ray(address: str) -> None:
    """Starts Ray on this machine (``local``) or joins a cluster (``auto`` or ``HOST:PORT``).

    Raises:
        LrrayError: no cluster answers at the address.
    """
    os.environ.update({key: value for key, value in _QUIET.items() if key not in os.environ})
    warnings.filterwarnings("ignore", module=r"ray\..*")
    import ray

    if ray.is_initialized():
        return
    try:
        ray.init(
            address=None if address == "local" else address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            # Workers import the driver's modules also where lrray is not installed in Python's own
            # folders, e.g. a source tree on PYTHONPATH.
            runtime_env=None,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise LrrayError(
            f"--address {address}", f"no Ray cluster answers: {str(error).splitlines()[0]}",
            fix="start one with 'ray up cluster.yaml', or leave --address out",
        ) from None  # fmt: skip


def num_slots(resources: Resources) -> int:
    """Cells that fit on the cluster at once.

    Raises:
        LrrayError: not even one does.
    """
    import ray

    have = ray.cluster_resources()
    need = {"CPU": resources.cpu, "GPU": resources.gpu}
    for node in ray.nodes():
        own = node["Resources"]
        if node["Alive"] and all(own.get(key, 0) >= value for key, value in need.items()):
            break
    else:
        shape = ", ".join(f"{value:g} {key}" for key, value in need.items() if value)
        there = ", ".join(f"{have.get(key, 0):g} {key}" for key in need)
        raise LrrayError(
            "resources", f"a cell needs {shape} on one node, the cluster has {there} in all",
            fix="lower resources.cpu or resources.gpu, or join a larger cluster with --address",
        )  # fmt: skip
    fits = min(int(have.get(key, 0) / value) for key, value in need.items() if value)
    return min(fits, resources.max_concurrent or fits)


def run_cells(
    source: CellSource,
    folder: RunFolder,
    resources: Resources,
    progress: Progress,
) -> None:
    """Runs every cell of a source; returns when all have ended, well or not.

    Raises:
        KeyboardInterrupt: the user stopped it; finished cells are in the folder.
    """
    from ray import tune

    limits = Limits(
        max_failures=resources.max_failures,
        time_limit_s=resources.time_limit_s,
        memory_gb=resources.memory_gb,
    )
    need: dict[str, Any] = {"cpu": resources.cpu, "gpu": resources.gpu}
    progress.begin(source)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="lrray-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(trial, need),
            param_space={"folder": str(folder.path.resolve()), "limits": asdict(limits)},
            tune_config=tune.TuneConfig(
                search_alg=source,
                num_samples=-1,
                max_concurrent_trials=resources.max_concurrent,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=limits.max_deaths + 1),
            ),
        )
        tuner.fit()
