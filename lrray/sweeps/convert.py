"""W&B sweeps: a study as a sweep file, and a sweep file as a study.

A sweep names the study in its ``command`` and holds only what W&B itself must know: method,
metric, parameters. So nothing of the study is lost on the way out, and on the way in everything
that a sweep does not say is taken from the study that it names (or that ``--base`` names).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrray.config import set_key
from lrray.errors import LrrayError, did_you_mean
from lrray.search.objective import Objective
from lrray.search.program import load_program
from lrray.studies.load import LoadedStudy, load_study
from lrray.studies.schema import MANY, CellSearch
from lrray.sweeps.early_stop import early_terminate, scheduler_settings
from lrray.sweeps.names import setting_path
from lrray.sweeps.space import check_parameter, flatten, from_parameter, to_parameter
from lrray.yaml_text import load_foreign_yaml, parse_yaml

PROGRAM = "lrray.sweeps.agent"

_METHODS = {
    "level_set": "bayes", "tpe": "bayes", "gp": "bayes", "random": "random", "grid": "grid",
}  # fmt: skip
_SAMPLERS = {"bayes": "gp", "random": "random", "grid": "grid"}
"""W&B's method -> the sampler that is most like it."""


@dataclass(frozen=True)
class SearchedStudy:
    """A study that holds one search."""

    loaded: LoadedStudy
    objective: Objective

    @property
    def study(self) -> Any:
        """Its settings."""
        return self.loaded.first


def read_searched(name: str, overrides: Iterable[str] = ()) -> SearchedStudy:
    """Reads a study whose one search another program is to run.

    Raises:
        LrrayError: it is wrong, searches nothing, or holds a grid of searches.
    """
    loaded = load_study(name, overrides)
    if len(loaded.points) > 1:
        raise LrrayError(
            f"{loaded.path}: grid", f"asks for {len(loaded.points)} searches; a sweep is one",
            fix="leave grid out, e.g. grid=null",
        )  # fmt: skip
    return SearchedStudy(loaded, load_program(loaded.kind).objective(loaded.first))


@dataclass
class Translation:
    """What came out, and what got lost."""

    data: dict[str, Any]
    losses: list[str] = field(default_factory=list)
    """A line for everything that the other side cannot express."""


def export_sweep(source: SearchedStudy) -> Translation:
    """A study's search as the content of a W&B sweep file."""
    search, losses = source.study.search, _losses(source.study)
    wandb = source.study.tracking.wandb
    place = {} if wandb is None else {"project": wandb.project, "entity": wandb.entity}
    sweep = {
        "name": source.loaded.name,
        "description": source.study.question,
        **{key: value for key, value in place.items() if value is not None},
        "program": PROGRAM,
        "method": _METHODS.get(search.sampler, "bayes"),
        "metric": {"name": source.objective.metric, "goal": source.objective.goal},
        "parameters": _parameters(source.study),
        "run_cap": _num_trials(source.study),
    }
    if isinstance(search, CellSearch) and search.scheduler == "asha":
        sweep["early_terminate"] = early_terminate(search)
    words = source.loaded.given
    command = ["${env}", "${interpreter}", "-m", "${program}", *words, "${args_no_hyphens}"]
    return Translation({**sweep, "command": command}, losses)


def _num_trials(study: Any) -> int:
    from lrray.search.samplers import num_trials

    return num_trials(study.search, study.search_space.to_optuna())


def _parameters(study: Any) -> dict[str, Any]:
    if study.search.sampler != "grid":
        return {name: to_parameter(range_) for name, range_ in study.search_space.root.items()}
    from lrray.search.samplers import grid_axes

    axes = grid_axes(study.search_space.to_optuna(), study.search.num_trials)
    return {name: {"values": values} for name, values in axes.items()}


def _losses(study: Any) -> list[str]:
    """What W&B will not do as the study would."""
    search = study.search
    lines = ["search.seed: W&B draws differently at every start"]
    if search.sampler not in ("gp", "random", "grid"):
        lines.append(
            f"search.sampler {search.sampler}: W&B's bayes is a Gaussian process that minimises "
            "the metric"
        )
    for name, range_ in study.search_space.root.items():
        if range_.distribution == "int_log_uniform":
            lines.append(f"search_space.{name}: W&B rounds, so its end values come half as often")
    if isinstance(search, CellSearch) and search.scheduler == "median":
        lines.append("search.scheduler median: W&B has hyperband alone")
    if isinstance(search, CellSearch) and search.scheduler == "asha":
        lines.append("search.scheduler asha: W&B counts logged points, not their step")
    if study.kind == "difficulty":
        lines.append("pairs: a sweep ends with the search; no pair is matched or measured again")
    lines.append("resources: agents decide how many trials run at once")
    return lines


def import_sweep(path: Path, base: str | None = None) -> Translation:
    """A W&B sweep file as the raw content of a study file.

    Args:
        path: the sweep file.
        base: the study to change; default: the one that the sweep's command names.

    Raises:
        LrrayError: it is not a sweep file, or names no study.
    """
    sweep = load_foreign_yaml(path)
    parameters = dict(flatten(sweep.get("parameters"), f"{path}: parameters"))
    for name, parameter in parameters.items():
        check_parameter(parameter, f"{path}: parameters.{name}")
    method = sweep.get("method")
    if method not in _SAMPLERS:
        got = {} if method is None else {"got": method}
        raise LrrayError(f"{path}: method", "must be bayes, random or grid", fix="bayes", **got)
    words = [base] if base is not None else _study_words(sweep, str(path))
    source = read_searched(words[0], words[1:])
    own = export_sweep(source).data
    result = Translation(dict(source.loaded.data))
    _take_parameters(result, source, parameters, own["parameters"], str(path))
    if method != own["method"]:
        _set(result, "search.sampler", _SAMPLERS[method])
    _take_metric(result, sweep.get("metric"), own["metric"], f"{path}: metric")
    stop = sweep.get("early_terminate")
    _take_early_stop(result, stop, own.get("early_terminate"), f"{path}: early_terminate")
    _take_rest(result, sweep, own, str(path))
    return result


def _study_words(sweep: Mapping[str, Any], path: str) -> list[str]:
    """The study and the overrides in the command of a sweep that was exported."""
    command = sweep.get("command")
    words = [str(word) for word in command] if isinstance(command, list) else []
    for i, word in enumerate(words):
        if word == PROGRAM or (word == "${program}" and sweep.get("program") == PROGRAM):
            named = [word for word in words[i + 1 :] if not word.startswith("${")]
            if named:
                return named
    raise LrrayError(path, "names no study in its command", fix="name one to change: --base STUDY")


def _take_parameters(
    result: Translation,
    source: SearchedStudy,
    parameters: Mapping[str, Any],
    own: Mapping[str, Any],
    path: str,
) -> None:
    old = result.data.get("search_space", {})
    space: dict[str, Any] = {}
    taken: set[str] = set()
    for given, parameter in parameters.items():
        where = f"{path}: parameters.{given}"
        name = given if given in own else setting_path(given, source.study, where)
        if name != given:
            result.losses.append(f"parameters.{given}: taken for the setting {name}")
        if name in taken:
            raise LrrayError(
                where, f"is the setting {name}, which stands twice", fix="leave one out"
            )
        taken.add(name)
        result.losses += _numbers_as_text(given, parameter)
        if parameter == own.get(name):
            space[name] = old[name]
        elif "value" in parameter:
            _set(result, name, parameter["value"])
        else:
            drawn = from_parameter(parameter, where)
            if drawn is None:
                shown = parameter.get("distribution", "with probabilities")
                drawn = old.get(name)
                instead = "searched as before" if drawn is not None else "not searched"
                result.losses.append(
                    f"parameters.{given}: nothing in lrray draws {shown} values: {instead}"
                )
            elif parameter.get("distribution") == "log_uniform":
                result.losses.append(
                    f"parameters.{given}: from {drawn['low']:.4g} to {drawn['high']:.4g}, as W&B "
                    "draws log_uniform; log_uniform_values takes bounds as they are"
                )
            elif drawn.get("low") is not None and drawn["low"] == drawn["high"]:
                _set(result, name, drawn["low"])
                continue
            if drawn is not None:
                space[name] = drawn
    if not space:
        raise LrrayError(
            f"{path}: parameters", "leave nothing to search", got=list(parameters),
            fix="give one of them values, or min and max",
        )  # fmt: skip
    result.data["search_space"] = space


def _numbers_as_text(name: str, parameter: Mapping[str, Any]) -> list[str]:
    """YAML 1.1, which W&B reads, takes 1e-3 for text; whoever writes it means a number."""
    values = [parameter.get("value"), *parameter.get("values", ())]
    return [
        f"parameters.{name}: {value} is text to W&B; write {parse_yaml(value, name)!r} for a number"
        for value in values
        if isinstance(value, str) and isinstance(_as_number(value), float)
    ]


def _as_number(text: str) -> Any:
    try:
        return parse_yaml(text, "")
    except LrrayError:
        return None


def _take_metric(result: Translation, metric: Any, own: Mapping[str, Any], where: str) -> None:
    if metric is None or metric == own:
        return
    if not isinstance(metric, Mapping) or not isinstance(metric.get("name"), str):
        fix = "{name: loss, goal: minimize}"
        raise LrrayError(where, "must be a mapping that names a number", got=metric, fix=fix)
    named = {"name": metric["name"], "goal": metric.get("goal", "minimize")}
    if named["goal"] not in ("minimize", "maximize"):
        got = named["goal"]
        fix = did_you_mean(str(got).lower(), ("minimize", "maximize"))
        raise LrrayError(f"{where}.goal", "must be minimize or maximize", got=got, fix=fix)
    if named != own and "metric" in result.data["search"]:
        _set(result, "search.metric", named["name"])
        _set(result, "search.mode", "max" if named["goal"] == "maximize" else "min")
    elif named != own:
        result.losses.append(f"metric {named['name']}: this kind of study searches {own['name']}")
    if "target" in metric:
        result.losses.append("metric.target: a search runs all its trials")


def _take_early_stop(result: Translation, given: Any, own: Any, where: str) -> None:
    if given == own:
        return
    if "metric" not in result.data.get("search", {}):
        result.losses.append("early_terminate: cells of this kind of study run whole")
    elif given is None:
        _set(result, "search.scheduler", "none")
    else:
        for name, value in scheduler_settings(given, result.data["search"], where).items():
            _set(result, f"search.{name}", value)
        if "strict" in given:
            result.losses.append("early_terminate.strict: trials are judged as they come")


def _take_rest(
    result: Translation, sweep: Mapping[str, Any], own: Mapping[str, Any], path: str
) -> None:
    cap = sweep.get("run_cap", own["run_cap"])
    if type(cap) is not int or not 1 <= cap <= MANY:
        raise LrrayError(
            f"{path}: run_cap", f"must be a number from 1 to {MANY}", got=cap, fix="20"
        )
    if cap != own["run_cap"]:
        _set(result, "search.num_trials", sweep["run_cap"])
    if "run_cap" not in sweep and (points := _grid_points(result)) is not None:
        _set(result, "search.num_trials", points)
    elif "run_cap" not in sweep:
        result.losses.append(f"run_cap: none given; the search ends after {own['run_cap']} trials")
    if sweep.get("description", own["description"]) != own["description"]:
        _set(result, "question", sweep["description"])
    for name in ("project", "entity"):
        if name in sweep and sweep[name] != own.get(name):
            _set(result, f"tracking.wandb.{name}", sweep[name])
    if "program" in sweep and sweep["program"] != PROGRAM:
        result.losses.append(f"program {sweep.get('program')}: the study's kind computes a trial")
    known = {*own, "early_terminate", "project", "entity"}
    for name in sweep:
        if name not in known:
            result.losses.append(f"{name}: no counterpart in a study")


def _grid_points(result: Translation) -> int | None:
    """How many points a grid of choices has; None for other searches."""
    if result.data["search"].get("sampler") != "grid":
        return None
    ranges = result.data["search_space"].values()
    if any(not isinstance(range_, Mapping) or "values" not in range_ for range_ in ranges):
        return None
    return math.prod(len(range_["values"]) for range_ in ranges)


def _set(result: Translation, path: str, value: Any) -> None:
    result.data = set_key(result.data, path, value, path)
