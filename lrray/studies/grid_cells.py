"""The cells of a study: one for a grid point, or one for each that a search asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lrray.config import parse, set_key
from lrray.errors import LrrayError, did_you_mean
from lrray.studies.identity import Cell, code_version
from lrray.studies.kinds import load_kind
from lrray.studies.objective import OBJECTIVE, Objective
from lrray.studies.spec import CellStudy, seed_list


def make_cell(study: CellStudy, axes: Mapping[str, Any], seeds: Sequence[int] = ()) -> Cell:
    """The cell of a resolved study; with ``seeds``, one that repeats it and averages."""
    settings = study.cell_settings()
    if seeds:
        settings["seed"] = list(seeds)
    module = load_kind(study.kind)
    code = study.code() if hasattr(study, "code") else module.CODE
    return Cell(study.kind, settings, dict(axes), code_version(*code))


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
        return make_cell(resolved, own, seed_list(search.seeds))

    def score(result: Mapping[str, Any]) -> dict[str, float]:
        numbers = {k: float(v) for k, v in result.items() if isinstance(v, int | float)}
        if search.metric not in numbers:
            raise LrrayError(
                "search.metric", "must be a number that the cells return", got=search.metric,
                fix=did_you_mean(search.metric, numbers),
            )  # fmt: skip
        sign = 1.0 if search.mode == "min" else -1.0
        return {OBJECTIVE: sign * numbers[search.metric], **numbers}

    goal: Literal["minimize", "maximize"] = "minimize" if search.mode == "min" else "maximize"
    return Objective(search.metric, goal, cell, score)
