"""What a search asks of a study, whoever proposes: Optuna here, or a W&B sweep elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lrray.studies.identity import Cell

OBJECTIVE = "objective"
"""Name of the number that Optuna searches minimise."""


@dataclass(frozen=True)
class Objective:
    """The cell that measures proposed parameters, and how its result is judged."""

    metric: str
    """The number that matters, among those of ``score``."""
    goal: Literal["minimize", "maximize"]
    cell: Callable[[Mapping[str, Any]], Cell]
    """Turns proposed parameters into the cell that measures them."""
    score: Callable[[Mapping[str, Any]], dict[str, float]]
    """Turns a cell's result into numbers: ``objective``, to be minimised, and those beside it."""
