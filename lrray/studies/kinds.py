"""The kinds of study, by the ``kind:`` of a study file.

A kind is a module in this package that offers what :class:`Kind` lists. Modules load when a study
of that kind is read or one of its cells runs, so that light cells stay light.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from lrray.studies.spec import StudyBase

_MODULES = {"difficulty": "lrray.studies.difficulty"}


@dataclass(frozen=True)
class CellContext:
    """What a running cell may use beside its settings."""

    checkpoint: Path
    """A folder of its own that outlives the worker; a cell continues from what it finds there."""
    log: Callable[[Mapping[str, float]], None]
    """Adds a point to the cell's curves, e.g. ``{"step": 100, "loss_bits": 2.1}``."""


class Kind(Protocol):
    """What the module of a kind offers."""

    Study: type[StudyBase]
    """The checked settings of its study files."""

    def run_cell(self, settings: Mapping[str, Any], context: CellContext) -> dict[str, Any]:
        """Computes one cell in a worker; returns plain data."""


def known_kinds() -> list[str]:
    """Names of all kinds."""
    return list(_MODULES)


def load_kind(name: str) -> Any:
    """The module of a kind."""
    return import_module(_MODULES[name])
