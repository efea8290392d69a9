"""Where Ray is to run."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lrray.errors import LrrayError
from lrray.execution.process_group import Workers
from lrray.execution.ray_files import private_folder, private_token
from lrray.files import check_path, working_folder
from lrray.scratch import hold
from lrray.studies.resources import Resources

WAIT_S = 5.0
"""How long a cluster may take to answer: Ray itself would try for minutes."""


def check_address(address: str) -> None:
    """Refuses an address that is no address, or where nothing answers.

    Raises:
        LrrayError: what to write instead.
    """
    if address in ("local", "auto"):
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise LrrayError(
            "--address", "must be local, auto or HOST:PORT", got=address, fix="e.g. 10.0.0.2:6379"
        )
    try:
        socket.create_connection((host, int(port)), WAIT_S).close()
    except OSError as error:
        raise LrrayError(
            f"--address {address}", f"nothing answers there: {error.strerror or error}",
            fix="start a cluster with 'ray up cluster.yaml', or leave --address out",
        ) from None  # fmt: skip


NODES_COME_MIN = 15.0
"""How long a cloud may take to start a node."""


_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Interrupts are ours: Tune's handler would go on to write a state that nobody reads.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    # A searched cell's curve points carry the study's metric, not the source's.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
}


START_TRIES = 3
"""Times that Ray is started before a machine is held to be too busy."""


def start_ray(address: str) -> str:
    """Starts Ray on this machine (``local``) or joins a cluster (``auto`` or ``HOST:PORT``).

    Returns:
        URL of Ray's dashboard, empty where there is none.

    Raises:
        LrrayError: no cluster answers at the address, or Ray cannot start here.
    """
    check_path("the working folder", working_folder())
    check_path("Python", Path(sys.executable))
    os.environ.update({key: value for key, value in _QUIET.items() if key not in os.environ})
    warnings.filterwarnings("ignore", module=r"ray\..*")
    import ray

    _silence(ray)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        context = _connected(ray, address)
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        raise _did_not_start(address, error) from None
    node: Any = ray._private.worker._global_node
    if node.is_head():
        hold(Path(node.get_session_dir_path()))
    signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own would end the driver with a stack trace
    url = context.dashboard_url
    return f"http://{url}" if url else ""


def _did_not_start(address: str, error: Exception) -> LrrayError:
    said = next(iter(str(error).splitlines()), type(error).__name__)
    if address == "local":
        return LrrayError(
            "--address local", f"Ray does not start on this machine: {said}",
            fix="see docs/reliability.md; RAY_TMPDIR names another folder for its files",
        )  # fmt: skip
    return LrrayError(
        f"--address {address}", f"no Ray cluster answers: {said}",
        fix="start one with 'ray up cluster.yaml', or leave --address out",
    )  # fmt: skip


def _connected(ray: Any, address: str) -> Any:
    """Ray gives its own processes 30 s to start, too little on a machine with much else to do."""
    own: dict[str, Any] = {}
    if address == "local" and not ray.is_initialized():
        folder = private_folder()
        private_token(folder.parent)
        own = {"_temp_dir": str(folder)}
    for _ in range(START_TRIES):
        try:
            with _on_loopback(ray) if own else nullcontext():
                return ray.init(
                    address=address,  # "local" starts a new one even where a cluster runs here
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    # Workers import the driver's modules also where lrray is not installed in
                    # Python's own folders, e.g. a source tree on PYTHONPATH.
                    runtime_env=None,
                    ignore_reinit_error=True,
                    **own,
                )
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    raise LrrayError(
        f"--address {address}", f"Ray did not start within 30 s, {START_TRIES} times over",
        fix="this machine has too much else to do; try again later",
    )  # fmt: skip


@contextmanager
def _on_loopback(ray: Any) -> Iterator[None]:
    """Within it, a new Ray takes 127.0.0.1 for its node's address, and all it opens is bound there.

    So it does by itself on Windows and macOS; ``_node_ip_address`` of ``ray.init`` replaces
    127.0.0.1 by an address that others reach.
    """
    constants = ray._private.ray_constants
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def _silence(ray: Any) -> None:
    """Keeps a paragraph per dead worker off the terminal: the cell's record says why it died.

    No option of Ray's does: ``log_to_driver=False`` leaves these messages on.
    """
    if hasattr(ray._private.worker, "print_to_stdstream"):
        ray._private.worker.print_to_stdstream = lambda *_, **__: None
    for name in ("ray.tune", "ray.air"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def num_slots(resources: Resources, say: Callable[[str], None]) -> int:
    """Cells that fit on the cluster at once.

    Args:
        resources: of one cell.
        say: shows what is waited for.

    Raises:
        LrrayError: not even one does.
    """
    import ray

    need = Workers.of(resources)
    cells = _cells_that_fit(need)
    if not cells and (wait_min := _wait_min(resources)):
        say(f"waiting up to {wait_min:g} min for nodes with room for a cell: {need}")
        _wait_for_nodes(need, 60 * wait_min)
        cells = _cells_that_fit(need)
    if not cells:
        have = ray.cluster_resources()
        there = f"{have.get('CPU', 0):g} CPU and {have.get('GPU', 0):g} GPU"
        raise LrrayError(
            "resources", f"a cell needs {need} but the cluster has {there}",
            fix="lower resources.cpu, gpu or workers, join a larger cluster with --address, or set "
            "resources.wait_for_nodes_min where nodes start on demand",
        )  # fmt: skip
    return min(cells, resources.max_concurrent or cells)


def _wait_min(resources: Resources) -> float:
    """How long nodes may take to come; ``ray up`` leaves its configuration on the head."""
    import ray

    if resources.wait_for_nodes_min is not None:
        return resources.wait_for_nodes_min
    node: Any = ray._private.worker._global_node
    started_here = node is not None and node.is_head()
    starts_nodes = not started_here and Path("~/ray_bootstrap_config.yaml").expanduser().exists()
    return NODES_COME_MIN if starts_nodes else 0.0


def _cells_that_fit(need: Workers) -> int:
    """Cells that the nodes there are have room for."""
    import ray

    return need.cells_on(node["Resources"] for node in ray.nodes() if node["Alive"])


def _wait_for_nodes(need: Workers, timeout_s: float) -> None:
    """Asks the cluster for room for one cell, so that it starts nodes."""
    from ray.util.placement_group import placement_group, remove_placement_group

    one = {"CPU": need.cpu} | ({"GPU": need.gpu} if need.gpu else {})
    group = placement_group([one] * need.workers, strategy=need.strategy)
    group.wait(timeout_s)
    remove_placement_group(group)


def run_tasks(function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Calls a function once for each tuple of arguments, a core each, on the whole cluster.

    Raises:
        LrrayError: what the function raised, without Ray's traceback around it.
    """
    import ray

    task = ray.remote(num_cpus=1, max_retries=3)(function)
    try:
        return list(ray.get([task.remote(*own) for own in arguments]))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, LrrayError):
            raise error.cause from None
        raise
