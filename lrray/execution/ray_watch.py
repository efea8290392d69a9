"""A driver that hears no more from Ray says so and ends, rather than wait for ever.

Ray leaves a driver alone with the death of its processes: of the raylet it takes no notice, and of
the control service (GCS) only after a minute, by ending the driver itself. So a thread asks both,
and ends what the driver waits for. It also has a word for cells that wait in a Ray that lives.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from lrray.errors import LrrayError
from lrray.execution.process_group import Workers
from lrray.periodic import Rhythm

if TYPE_CHECKING:
    from lrray.search.queue import CellSource

LOOK_S = 3.0
"""Seconds between two looks at Ray."""
ANSWER_S = 5.0
"""How long Ray may take to answer one."""
SILENT_LOOKS = 4
"""Looks in a row without an answer after which Ray is held to be gone: a busy machine, or a driver
that was halted, misses one."""
LEAVE_S = 10.0
"""How long the driver may take to leave a call to a dead Ray."""
IDLE_S = 45.0
"""How long cells may wait without a word while none runs."""
AGAIN_S = 600.0
"""Seconds between two such words."""
GIVE_UP_S = 300.0
"""How long a Ray of the driver's own, which nobody else uses, may start no worker at all."""


class RayLost(LrrayError):
    """Ray has ended under a driver: the machine's trouble. Finished cells are kept."""

    exit_code = 1


class RayWatch:
    """Looks at the Ray that this process has joined.

    Args:
        command: what continues the work; told with every word.
        say: shows a line.
        need: what one cell needs.
    """

    def __init__(self, command: str, say: Callable[[str], None], need: Workers) -> None:
        import ray

        worker: Any = ray._private.worker
        self._command, self._say, self._need = command, say, need
        self._node: Any = worker._global_node
        self._gcs: Any = worker.global_worker.gcs_client
        self._node_id = ray.get_runtime_context().get_node_id()
        self._thread = threading.current_thread()
        self._own_workers: list[psutil.Process] = []
        self._silent, self._left = 0, threading.Event()
        self._spoke = -AGAIN_S
        self._idle_since: float | None = None
        self._rhythm = Rhythm(self._look, LOOK_S)
        self._one_at_a_time = threading.Lock()
        self._source: CellSource | None = None
        self.working: set[str] = set()
        """Trials that have a worker."""
        self.lost: RayLost | None = None
        """Why the driver is to end."""

    def start(self) -> None:
        """Begins to look."""
        self._rhythm.start()

    def follow(self, source: CellSource) -> None:
        """Minds that the cells of a source run."""
        self._source = source

    def look_closely(self) -> None:
        """Finds out, in the driver's own thread, whether Ray has ended."""
        with suppress(KeyboardInterrupt):  # the other thread has found out
            for _ in range(SILENT_LOOKS):
                why = self._ended_process() or self._ask()[1]
                if not why:
                    return
                time.sleep(1.0)
            self.lost = self.lost or self._loss(why)

    def stop(self) -> None:
        """The driver waits for Ray no longer."""
        with self._one_at_a_time:  # no interrupt follows
            self._left.set()
        if threading.current_thread() is self._thread and self.lost is None:
            self._rhythm.stop()

    def _look(self) -> bool:
        if self._left.is_set():
            return True
        own = self._ended_process()
        nodes, silent = ({}, "") if own else self._ask()
        self._silent = self._silent + 1 if silent else 0
        if own or self._silent >= SILENT_LOOKS:
            self._end(own or silent)
            return True
        self._own_workers = self._workers()
        if not silent and (stuck := self._stuck(nodes)):
            self._end(stuck)
            return True
        return False

    def _ended_process(self) -> str:
        """Which process of a Ray of our own has ended, and how."""
        for name in ("gcs_server", "raylet"):
            for info in self._node.all_processes.get(name, []):
                code = info.process.poll()
                if code is not None:
                    how = signal.Signals(-code).name if code < 0 else f"code {code}"
                    return f"its {name} has ended ({how}); see {self._logs() / name}.out"
        return ""

    def _ask(self) -> tuple[Mapping[str, Mapping[str, float]], str]:
        """What the nodes that are up have, by their ids; and what is wrong."""
        try:
            found = self._gcs.get_all_node_info(timeout=ANSWER_S)
        except Exception:  # Ray has one of its own for every way of not answering
            return {}, f"its control service at {self._node.gcs_address} does not answer"
        nodes = {
            key.hex(): dict(node.resources_total)
            for key, node in found.items()
            if node.state == node.ALIVE
        }
        if self._node_id not in nodes:
            return nodes, "the cluster has given up this machine's raylet"
        if not _listens(self._node.raylet_socket_name):
            return nodes, f"its raylet on this machine has ended; see {self._logs()}/raylet.out"
        return nodes, ""

    def _logs(self) -> Path:
        return Path(self._node.get_logs_dir_path())

    def _workers(self) -> list[psutil.Process]:
        """Processes of the cells on a Ray of our own."""
        with suppress(psutil.Error):
            raylets = self._node.all_processes.get("raylet", [])
            return [
                child
                for info in raylets
                for child in psutil.Process(info.process.pid).children(recursive=True)
            ]
        return []

    def _stuck(self, nodes: Mapping[str, Mapping[str, float]]) -> str:
        """Has a word for cells that wait; what is wrong where they would do so for ever."""
        now = time.monotonic()
        if self._source is None or not self._source.running or self.working:
            self._idle_since = None
            return ""
        self._idle_since = self._idle_since or now
        waited = now - self._idle_since
        if waited < IDLE_S:
            return ""
        if not self._need.cells_on(nodes.values()):
            why = f"the nodes that are up have no room for a cell: {self._need}"
        else:
            why = f"Ray has started no worker for {waited:.0f} s; see {self._logs()}/raylet.out"
        if self._node.is_head() and waited > GIVE_UP_S:
            return why
        if now - self._spoke >= AGAIN_S:
            self._spoke = now
            self._say(f"waiting: {why}; Ctrl-C stops, then continue with: {self._command}")
        return ""

    def _end(self, why: str) -> None:
        """Ends what the driver waits for; the process, where it waits in Ray's own code."""
        self.lost = self._loss(why)
        self.end_workers()
        with self._one_at_a_time:
            if self._left.is_set():
                return
            _interrupt(self._thread)
        if not self._left.wait(LEAVE_S):
            sys.stderr.write(f"{self.lost}\n")
            sys.stderr.flush()
            os._exit(RayLost.exit_code)

    def raise_loss(self) -> None:
        """Leaves a Ray that is lost, whose processes need not answer.

        Raises:
            RayLost: it is.
        """
        if self.lost is None:
            return
        import ray

        self.end_workers()
        if ray.is_initialized():
            self._node.kill_all_processes(check_alive=False, allow_graceful=False)
        ending = threading.Thread(target=ray.shutdown, daemon=True)
        ending.start()
        ending.join(LEAVE_S)
        raise self.lost

    def end_workers(self) -> None:
        """Ends the cells on a Ray of our own: none is to go on under a driver that comes after."""
        for process in self._own_workers:
            with suppress(psutil.Error):
                process.kill()

    def _loss(self, why: str) -> RayLost:
        fix = f"finished work is kept; continue with: {self._command}"
        return RayLost("Ray", why, fix=fix)


@contextmanager
def ray_watched(command: str, say: Callable[[str], None], need: Workers) -> Iterator[RayWatch]:
    """Within it, the loss of the Ray that was joined ends what the driver waits for.

    Raises:
        RayLost: in place of what it ended, or of what Ray raised at its end; this process has left
            Ray, and may start it again.
    """
    watch = RayWatch(command, say, need)
    watch.start()
    try:
        try:
            yield watch
        except Exception as error:
            if not isinstance(error, LrrayError):
                watch.look_closely()
            raise
        finally:
            watch.stop()
    except BaseException:
        if watch.lost is None:
            raise
    watch.raise_loss()


def _interrupt(thread: threading.Thread) -> None:
    """Raises KeyboardInterrupt in a thread; the main one is also woken from the system's calls."""
    if thread is threading.main_thread():
        signal.pthread_kill(int(thread.ident or 0), signal.SIGINT)
    else:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt)
        )


def _listens(path: str) -> bool:
    """Whether a process takes connections at a socket's path."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWER_S)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
