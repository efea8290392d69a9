"""What a search asks of a study, whoever proposes: Optuna here, or a W&B sweep elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lrray.config import parse, set_key
from lrray.errors import LrrayError, did_you_mean
from lrray.studies.cell import Cell, make_cell
from lrray.studies.schema import CellStudy, seed_list

OBJECTIVE = "objective"
"""The number that a search minimises, where its study names none of the cells' numbers."""


@dataclass(frozen=True)
class Score:
    """How a cell's result is judged."""

    value: float
    """What Optuna minimises."""
    numbers: Mapping[str, float]
    """What is kept beside it, under the names that the cell gave them."""


@dataclass(frozen=True)
class Objective:
    """The cell that measures proposed parameters, and how its result is judged."""

    metric: str
    """The number that matters, among those of the score."""
    goal: Literal["minimize", "maximize"]
    cell: Callable[[Mapping[str, Any]], Cell]
    """Turns proposed parameters into the cell that measures them."""
    score: Callable[[Mapping[str, Any]], Score]
    """Judges a cell's result."""


def objective(study: CellStudy, axes: Mapping[str, Any] | None = None) -> Objective:
    """What the study's search asks for, at the grid point with these ``axes``.

    Raises:
        LrrayError: the study searches nothing.
    """
    search, space = study.search, study.search_space
    if search is None or space is None:
        raise LrrayError(
            "search", "this study searches nothing", fix="add search: and search_space:"
        )

    def cell(parameters: Mapping[str, Any]) -> Cell:
        data: dict[str, Any] = study.model_dump(mode="json", exclude_none=True)
        for path in space.root:
            data = set_key(data, path, parameters[path], path)
        resolved = parse(type(study), data, "search")
        own = {**(axes or {}), **{path: parameters[path] for path in space.root}}
        # A seed that is searched is the trial's own.
        return make_cell(resolved, own, () if "seed" in space.root else seed_list(search.seeds))

    def score(result: Mapping[str, Any]) -> Score:
        numbers = {k: float(v) for k, v in result.items() if isinstance(v, int | float)}
        if search.metric not in numbers:
            raise LrrayError(
                "search.metric", "must be a number that the cells return", got=search.metric,
                fix=did_you_mean(search.metric, numbers),
            )  # fmt: skip
        sign = 1.0 if search.mode == "min" else -1.0
        return Score(sign * numbers[search.metric], numbers)

    goal: Literal["minimize", "maximize"] = "minimize" if search.mode == "min" else "maximize"
    return Objective(search.metric, goal, cell, score)
