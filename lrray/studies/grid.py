"""Grids: axes of settings, expanded into points.

::

    grid:
      seed: {start: 0, stop: 6}              # 0 … 5
      model.hidden_size: [8, 32, 128]        # any key path of the study
      zip:                                   # axes that move together
        - {model.type: [llama, mamba], train.lr: [0.001, 0.002]}
      exclude:                               # points left out
        - {model.type: mamba, model.hidden_size: 8}
      also:                                  # further grids, whose points are added
        - {seed: {start: 0, stop: 6}, model.hidden_size: [8], surrogate: [2]}

At a point that lacks an axis of the others, this axis has the value that the study itself has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar

from pydantic import BaseModel

from lrray.config import parse, set_key
from lrray.errors import LrrayError, did_you_mean
from lrray.studies.axes import axes_text
from lrray.studies.json_data import refuse_what_json_has_not
from lrray.studies.schema import AROUND, CellStudy, StudyBase
from lrray.studies.tuned import Tuned, look_up

Point = dict[str, Any]
Study = TypeVar("Study", bound=StudyBase)

_RESERVED = ("zip", "exclude", "also")
MOST_POINTS = 100_000
"""Most points of a grid: more is a slip of the pen, and would take gigabytes to expand."""
_TRIED_CELLS = 8
"""Cells of a search that are built, of which one must be sound."""


@dataclass(frozen=True)
class GridPoint:
    """One point of a grid: what tells it from the others, and its study, resolved and checked."""

    axes: Mapping[str, Any]
    study: Any

    @property
    def label(self) -> str:
        """:func:`axes_text`; empty for the only point of a study without a grid."""
        return axes_text(self.axes)


def expand(
    data: Mapping[str, Any],
    model: type[Study],
    where: str,
    tuned: Sequence[Tuned] | None = None,
) -> list[GridPoint]:
    """Resolves a study at every point of its grid; one point where it has none.

    Args:
        data: the raw study.
        model: its kind's settings class.
        where: opens error lines, usually the file.
        tuned: its settings that take the best value of a run; None: to be looked up.

    Raises:
        LrrayError: the grid or the study at one of its points is wrong, or all are excluded.
    """
    grid = data.get("grid")
    base = {key: value for key, value in data.items() if key != "grid"}
    refuse_what_json_has_not(data, where)
    tuned = look_up(base, where) if tuned is None else tuned
    if grid is None:
        return [GridPoint({}, _resolved(base, {}, model, where, tuned))]
    points = _same_axes(list(grid_points(grid, f"{where}: grid")), base, model)
    _check_axes(points[0] if points else {}, data, model, f"{where}: grid")
    if not points:
        raise LrrayError(f"{where}: grid", "must keep at least one point", fix="exclude fewer")
    resolved = [GridPoint(p, _resolved(base, p, model, where, tuned)) for p in points]
    if resolved[0].study.search is not None:
        _refuse_labels_that_are_alike(resolved, f"{where}: grid")
    return resolved


def _same_axes(points: list[Point], base: Mapping[str, Any], model: type[StudyBase]) -> list[Point]:
    """The points, each once, with the study's own value of every axis that only others name."""
    names = dict.fromkeys(name for point in points for name in point)
    if all(len(point) == len(names) for point in points):
        return points
    own = {name: _value_at(base, name, model) for name in names}
    filled = ({name: point.get(name, own[name]) for name in names} for point in points)
    return list({json.dumps(point, default=str): point for point in filled}.values())


def _value_at(data: Any, path: str, model: Any) -> Any:
    """What raw settings hold at a key path, or the default of ``model``; None without either."""
    key, _, rest = path.partition(".")
    value = data.get(key) if isinstance(data, Mapping) else None
    known = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
    field = known.get(key)
    if rest:
        return _value_at(value, rest, None if field is None else field.annotation)
    if value is None and field is not None and not field.is_required():
        return field.get_default(call_default_factory=True)
    return value


def _check_axes(
    axes: Iterable[str], data: Mapping[str, Any], model: type[Study], where: str
) -> None:
    """Refuses axes whose values would not be those that their cells run with.

    Raises:
        LrrayError: one is no part of a cell, lies inside another, or a search sets it.
    """
    names, space = list(axes), data.get("search_space")
    searched = list(space) if issubclass(model, CellStudy) and isinstance(space, Mapping) else []
    for name in names:
        if name.partition(".")[0] in AROUND:
            raise LrrayError(f"{where}.{name}", "is no part of a cell: all points would be one")
        if name == "seed" and searched:
            raise LrrayError(
                f"{where}.seed", "a search's cells repeat search.seeds",
                fix="search.seeds: [0, 1], or an axis search.seed",
            )  # fmt: skip
    both = [*names, *searched]
    for name in both:
        inside = [o for o in both if name.startswith(f"{o}.")] + [name] * (both.count(name) - 1)
        if inside:
            rule = f"{name} and {inside[0]} set the same value"
            raise LrrayError(where, rule, fix="leave one of them out")


def _refuse_labels_that_are_alike(points: Sequence[GridPoint], where: str) -> None:
    """Searches are named by their point: two of one name would share their trials.

    Raises:
        LrrayError: two points read alike, as 1 and '1' do.
    """
    seen = set()
    for point in points:
        if point.label in seen:
            raise LrrayError(where, "two points read alike", got=point.label, fix="name them apart")
        seen.add(point.label)


def _resolved(
    base: Mapping[str, Any], point: Point, model: type[Study], where: str, tuned: Sequence[Tuned]
) -> Study:
    resolved = dict(base)
    for path, value in point.items():
        resolved = set_key(resolved, path, value, f"{where}: grid.{path}")
    for setting in tuned:
        resolved = setting.filled(resolved, where)
    study = parse(model, resolved, where)
    if isinstance(study, CellStudy):
        _try_search(study, where)
    return study


def _try_search(study: CellStudy, where: str) -> None:
    """Builds some cells of a search, so that a name which is no setting's is told before any runs.

    Raises:
        LrrayError: none of them is a sound study; what is wrong with the first.
    """
    if study.search_space is None:
        return
    _check_axes((), {"search_space": study.search_space.root}, type(study), where)
    for name in study.search_space.root:
        if name.partition(".")[0] in {*AROUND, "search"}:
            raise LrrayError(f"{where}: search_space.{name}", "is no part of a cell")
    options = {name: range_.some_values() for name, range_ in study.search_space.root.items()}
    data: dict[str, Any] = study.model_dump(mode="json", exclude_none=True)
    first: LrrayError | None = None
    for i in range(min(_TRIED_CELLS, max(map(len, options.values())))):
        try:
            cell = data
            for name, values in options.items():
                at = f"{where}: search_space.{name}"
                cell = set_key(cell, name, values[i % len(values)], at)
            parse(type(study), cell, f"{where}: search_space")
        except LrrayError as error:
            first = first or error
        else:
            return
    assert first is not None
    raise first


def grid_points(grid: Any, where: str) -> Iterator[Point]:
    """The axes of every point that a ``grid:`` keeps.

    Raises:
        LrrayError: it is not a grid.
    """
    if not isinstance(grid, Mapping) or not (set(grid) - {"exclude", "also"}):
        raise LrrayError(where, "must name at least one axis", got=grid, fix="seed: [0, 1, 2]")
    choices: list[list[Point]] = []
    for name, values in grid.items():
        if name not in _RESERVED:
            choices.append([{name: value} for value in axis_values(values, f"{where}.{name}")])
    for i, together in enumerate(_list_of_mappings(grid.get("zip", []), f"{where}.zip")):
        choices.append(_zipped(together, f"{where}.zip[{i}]"))
    _refuse_repeats(choices, where)
    excluded = _list_of_mappings(grid.get("exclude", []), f"{where}.exclude")
    names = [name for choice in choices for name in choice[0]]
    for i, rule in enumerate(excluded):
        for name, value in rule.items():
            at = f"{where}.exclude[{i}]"
            if name not in names:
                fix = did_you_mean(name, names)
                raise LrrayError(at, f"{name!r} is not an axis", fix=fix)
            if isinstance(value, list) and not any(
                isinstance(choice[0].get(name), list) for choice in choices
            ):
                raise LrrayError(f"{at}.{name}", "must be one value", got=value, fix="a rule each")
    number = math.prod(map(len, choices))
    if number > MOST_POINTS:
        raise LrrayError(
            where, f"must have at most {MOST_POINTS} points", got=number,
            fix="shorten an axis; a search with num_trials draws from many values",
        )  # fmt: skip
    for combination in product(*choices):
        point = {name: value for part in combination for name, value in part.items()}
        if not any(all(point[name] == value for name, value in rule.items()) for rule in excluded):
            yield point
    for i, further in enumerate(_list_of_mappings(grid.get("also", []), f"{where}.also")):
        yield from grid_points(further, f"{where}.also[{i}]")


def axis_values(values: Any, where: str) -> list[Any]:
    """The values of one axis: a list, or ``{start, stop, step}`` with ``stop`` left out.

    Raises:
        LrrayError: it is neither, empty, or holds a value twice.
    """
    if isinstance(values, Mapping):
        if not {"start", "stop"} <= set(values) <= {"start", "stop", "step"} or not all(
            type(value) is int for value in values.values()
        ):
            raise LrrayError(
                where, "a range needs whole numbers", got=dict(values), fix="{start: 0, stop: 6}"
            )
        if values.get("step", 1) == 0:
            raise LrrayError(where, "a range's step must not be 0", fix="leave it out")
        reach = range(values["start"], values["stop"], values.get("step", 1))
        if len(reach) > MOST_POINTS:
            raise LrrayError(
                where, f"a range must have at most {MOST_POINTS} values", got=len(reach),
                fix="raise its step",
            )  # fmt: skip
        values = list(reach)
    if not isinstance(values, list) or not values:
        raise LrrayError(where, "must be a list or a range of values", got=values, fix="[0, 1, 2]")
    if _has_repeats(values):
        raise LrrayError(where, "values must be distinct", got=values, fix="name each once")
    return values


def _has_repeats(values: list[Any]) -> bool:
    try:
        return len(set(values)) < len(values)
    except TypeError:  # lists and mappings have no hash
        return any(value in values[:i] for i, value in enumerate(values))


def _zipped(together: Mapping[str, Any], where: str) -> list[Point]:
    columns = {name: axis_values(values, f"{where}.{name}") for name, values in together.items()}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        got = {name: len(values) for name, values in columns.items()}
        raise LrrayError(where, "axes that move together need equal lengths", got=got)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _list_of_mappings(value: Any, where: str) -> list[Mapping[str, Any]]:
    if isinstance(value, list) and all(isinstance(item, Mapping) and item for item in value):
        return value
    raise LrrayError(where, "must be a list of mappings", got=value, fix="- {axis: value}")


def _refuse_repeats(choices: list[list[Point]], where: str) -> None:
    names = [name for choice in choices for name in choice[0]]
    for name in names:
        if not all(name.split(".")):
            raise LrrayError(where, "an axis must name a setting", got=name, fix="e.g. settings.a")
        if names.count(name) > 1:
            raise LrrayError(where, "an axis may stand only once", got=name, fix="name it once")
