"""The kinds of study, by the ``kind:`` of a study file.

A kind is a module that offers ``Study`` (its settings), ``CODE`` (the modules its results depend
on) and ``run_cell(settings, context)``; it may offer ``STOPS``, true where its cells ask
``context.should_stop``, ``check(studies, where, data_folder)`` for
what takes heavy imports or files to check before any work, and ``SHOWN`` and ``LIVE``, the numbers
of ended and of running cells on the terminal where there are many. A *runner* plans, runs and shows
a study of that kind. Modules load when they are used, so that light cells stay light.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

_GRID_RUNNER = "lrray.runs.grid"

_KINDS = {
    "difficulty": ("lrray.kinds.difficulty", "lrray.kinds.difficulty.run"),
    "function": ("lrray.kinds.function", _GRID_RUNNER),
    "train": ("lrray.kinds.train.kind", _GRID_RUNNER),
    "twohop": ("lrray.kinds.twohop", _GRID_RUNNER),
}
"""Kind -> its module and its runner."""


@dataclass(frozen=True)
class CellContext:
    """What a running cell may use beside its settings."""

    checkpoint: Path
    """A folder of its own that outlives the worker; a cell continues from what it finds there."""
    shared: Path
    """A folder that all cells of the run share, for data that several of them need."""
    data: Path
    """A folder that all runs of the study share: what ``lrray data make`` wrote."""
    log: Callable[[Mapping[str, float]], None]
    """Adds a point to the cell's curves, e.g. ``{"step": 100, "loss_bits": 2.1}``."""
    should_stop: Callable[[], bool] = lambda: False
    """Whether the study is being stopped: a cell that asks then writes its checkpoint and raises
    :class:`lrray.training.stopping.Stopped`. Only kinds with ``STOPS`` are asked to. Of a cell's
    several workers the first one alone is told, and they must agree on the step, as
    :meth:`lrray.training.distributed.Workers.any` does."""


def known_kinds() -> list[str]:
    """Names of all kinds."""
    return list(_KINDS)


def load_kind(name: str) -> Any:
    """The module of a kind: ``Study``, ``CODE``, ``run_cell``."""
    return import_module(_KINDS[name][0])


def load_runner(name: str) -> Any:
    """The module that runs a kind: ``plan``, ``run``, ``show``."""
    return import_module(_KINDS[name][1])
