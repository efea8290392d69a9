"""What a search over (alpha_X, alpha_Z) measures and minimises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrray.errors import LrrayError
from lrray.studies.difficulty.cells import make_cell
from lrray.studies.difficulty.settings import ALPHAS, DifficultyStudy
from lrray.studies.identity import Cell
from lrray.studies.objective import OBJECTIVE, Objective


def objective(study: DifficultyStudy) -> Objective:
    """The distance of the difficulty at (alpha_X, alpha_Z) from the target.

    Raises:
        LrrayError: the study holds several searches, one per seed.
    """
    if len(study.searches) > 1:
        raise LrrayError(
            "seeds", f"ask for {len(study.searches)} searches, one per seed; here it takes one",
            fix=f"seeds=[{study.seed_list[0]}]",
        )  # fmt: skip
    return objective_of(study, next(iter(study.searches.values())), {})


def objective_of(
    study: DifficultyStudy, seeds: Sequence[int], axes: Mapping[str, Any]
) -> Objective:
    """The same over some of the study's seeds; its cells carry the axes of their grid point."""
    metric, target = study.target.metric, study.target.value

    def cell(parameters: Mapping[str, Any]) -> Cell:
        alphas = [parameters[key] for key in ALPHAS]
        return make_cell(study.graph, alphas, seeds, study.size(), axes)

    def score(result: Mapping[str, Any]) -> dict[str, float]:
        numbers = {
            "difficulty": result[metric],
            "difficulty_se": result[f"{metric}_se"],
            OBJECTIVE: abs(result[metric] - target),
            **{k: v for k, v in result.items() if isinstance(v, int | float)},
        }
        return {key: float(value) for key, value in numbers.items() if value is not None}

    return Objective(OBJECTIVE, "minimize", cell, score)
