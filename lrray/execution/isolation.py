"""What one cell does to its worker is no matter of the next one's."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, TypeVar

import numpy as np
import psutil

from lrray.studies.cell import Cell

_SERVANTS = (
    "multiprocessing.resource_tracker", "multiprocessing.forkserver", "wandb/bin", "torch/_inductor"
)  # fmt: skip
"""Words in the commands of processes that a library keeps for as long as this one lives."""

_LIMITS = (
    resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_AS,
    resource.RLIMIT_DATA, resource.RLIMIT_STACK, resource.RLIMIT_CORE,
)  # fmt: skip

_Result = TypeVar("_Result")


def isolated(run: Callable[[Cell], _Result]) -> Callable[[Cell], _Result]:
    """Gives the process back as it was before a cell.

    That is: working folder, umask, environment, ``sys.path``, output streams, signal handlers,
    the system's limits, what NumPy does about overflows, torch's type of floats and the children
    that it left behind. Random numbers are seeded anew by the system, as in a fresh
    process.
    """

    def run_isolated(cell: Cell) -> _Result:
        with given_back():
            return run(cell)

    return run_isolated


@contextmanager
def given_back() -> Iterator[None]:
    """Within it, a process may be changed as :func:`isolated` says."""
    state = _State()
    try:
        yield
    finally:
        state.restore()


@dataclass
class _State:
    folder: Path | None = field(default_factory=lambda: _folder())
    umask: int = field(default_factory=lambda: _umask())
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    path: list[str] = field(default_factory=lambda: list(sys.path))
    streams: tuple[TextIO, TextIO] = field(default_factory=lambda: (sys.stdout, sys.stderr))
    outputs: tuple[int, int] = field(default_factory=lambda: (os.dup(1), os.dup(2)))
    handlers: dict[int, Any] = field(default_factory=lambda: _handlers())
    limits: dict[int, tuple[int, int]] = field(default_factory=lambda: _limits())
    arithmetic: tuple[Any, Any] = field(default_factory=lambda: _arithmetic())
    children: set[int] = field(default_factory=lambda: {child.pid for child in _children()})

    def restore(self) -> None:
        with suppress(OSError):  # it is gone
            os.chdir(self.folder or "/")
        os.umask(self.umask)
        if os.environ != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)
        sys.path[:] = self.path
        self._restore_streams()
        for number, handler in self.handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        for kind, limit in self.limits.items():
            with suppress(ValueError, OSError):  # a hard one that was lowered stays so
                resource.setrlimit(kind, limit)
        end_children(self.children)
        errors, dtype = self.arithmetic
        np.seterr(**errors)
        random.seed()
        np.random.seed()  # noqa: NPY002, the generator that cells may use
        if "torch" in sys.modules:
            import torch

            torch.seed()
            torch.set_default_dtype(dtype or torch.float32)

    def _restore_streams(self) -> None:
        for number, kept in zip((1, 2), self.outputs, strict=True):
            os.dup2(kept, number)
            os.close(kept)
        sys.stdout, sys.stderr = (
            os.fdopen(os.dup(number), "w", buffering=1) if stream.closed else stream
            for number, stream in zip((1, 2), self.streams, strict=True)
        )


def end_children(spared: set[int] | None = None) -> None:
    """Kills this process's children and theirs.

    Args:
        spared: pids of some that are to live, and libraries' servants with them; none: all die.
    """
    for child in _children():
        try:
            command = " ".join(child.cmdline())
            if spared is None or not (
                child.pid in spared or any(word in command for word in _SERVANTS)
            ):
                child.kill()
        except psutil.Error:  # it has ended
            continue


def _children() -> list[psutil.Process]:
    """Children and theirs; to look through all processes of the machine takes milliseconds."""
    try:
        lists = [path.read_bytes() for path in Path("/proc/self/task").glob("*/children")]
    except OSError:  # a thread has ended
        lists = []
    return [] if lists and not any(lists) else psutil.Process().children(recursive=True)


def _folder() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def _umask() -> int:
    """Read without setting it: other threads write files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o022


def _limits() -> dict[int, tuple[int, int]]:
    """What the system lets this process have."""
    return {kind: resource.getrlimit(kind) for kind in _LIMITS}


def _arithmetic() -> tuple[Any, Any]:
    """NumPy's way with overflows, and torch's type of floats where it has been imported."""
    torch = sys.modules.get("torch")
    return np.geterr(), None if torch is None else torch.get_default_dtype()


def _handlers() -> dict[int, Any]:
    """What signals do, where this thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    handlers = {int(number): signal.getsignal(number) for number in numbers}
    return {number: handler for number, handler in handlers.items() if handler is not None}
