"""The cell of a difficulty study: one graph with its alphas, measured over some kernel draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lrray.config import parse
from lrray.difficulty.estimate import SampleSize, estimate
from lrray.errors import LrrayError
from lrray.gssm import GraphConfig
from lrray.kinds.difficulty.settings import ALPHAS, DifficultyStudy
from lrray.search.objective import OBJECTIVE, Objective, Score
from lrray.studies.cell import Cell, result_code
from lrray.studies.kind import CellContext

if TYPE_CHECKING:  # with Numba, which a plan or a report need not wait for
    from lrray.gssm import GSSM


def make_cell(
    study: DifficultyStudy,
    alphas: Sequence[float],
    seeds: Sequence[int],
    size: SampleSize,
    point: Mapping[str, Any] | None = None,
) -> Cell:
    """The cell that measures a study's graph at (alpha_X, alpha_Z) on kernel draws ``seeds``.

    ``point`` holds the axes of the grid point that asked for it.
    """
    alpha_X, alpha_Z = float(alphas[0]), float(alphas[1])
    return Cell(
        kind="difficulty",
        settings={
            "graph": study.graph.with_missing_alphas(alpha_X, alpha_Z).to_dict(),
            "seeds": list(seeds),
            "size": _plain(size),
        },
        axes={**(point or {}), "alpha_X": alpha_X, "alpha_Z": alpha_Z, "seeds": list(seeds)},
        code=result_code(study),
    )


def _plain(size: SampleSize) -> dict[str, Any]:
    """The size as plain data; what it measures only where asked to is left out otherwise."""
    plain = {**asdict(size), "compressors": list(size.compressors)}
    return plain if size.information else {k: v for k, v in plain.items() if k != "information"}


def draw_graph(settings: Mapping[str, Any]) -> GSSM:
    """The graph of a cell with the kernels of its draw ``seed``."""
    from lrray.gssm import GSSM

    return GSSM(parse(GraphConfig, settings["graph"], "graph"), settings["seed"])


def run_cell(settings: Mapping[str, Any], context: CellContext) -> dict[str, Any]:
    """Measures one cell; the result is :meth:`lrray.difficulty.estimate.Estimate.to_dict`."""
    graph = parse(GraphConfig, settings["graph"], "graph")
    size = SampleSize(**{**settings["size"], "compressors": tuple(settings["size"]["compressors"])})
    return estimate(graph, settings["seeds"], size).to_dict()


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
        return make_cell(study, alphas, seeds, study.size(), axes)

    def score(result: Mapping[str, Any]) -> Score:
        distance = float(abs(result[metric] - target))
        numbers = {
            "difficulty": result[metric],
            "difficulty_se": result[f"{metric}_se"],
            OBJECTIVE: distance,
            **{k: v for k, v in result.items() if isinstance(v, int | float)},
        }
        shown = {key: float(value) for key, value in numbers.items() if value is not None}
        return Score(distance, shown)

    return Objective(OBJECTIVE, "minimize", cell, score)
