"""Searches as comparisons see them, read from results folders, W&B run folders and W&B sweeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lrray.difficulty.level_set import Bounds
from lrray.errors import LrrayError, did_you_mean
from lrray.results.run import Run
from lrray.search.objective import OBJECTIVE
from lrray.studies.axes import axis_name
from lrray.studies.grid import GridPoint, grid_points

ONLINE = "wandb:"
ALPHAS = ("alpha_X", "alpha_Z")

Goal = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class ContourTask:
    """The contour that a search looks for; only equal ones are compared."""

    bounds: Bounds
    target: float
    metric: str


@dataclass(frozen=True)
class Trace:
    """One search: what it measured, in the order it was proposed."""

    series: str
    """Searches of one series differ in their seeds alone."""
    match: str
    """Seeds that pair it with the search of another series; empty where it has none."""
    trials: pd.DataFrame
    """Columns ``value`` (the metric), ``seconds`` (of this evaluation), and all other numbers."""
    metric: str
    goal: Goal
    task: ContourTask | None = None

    def __len__(self) -> int:
        return len(self.trials)

    def best(self) -> NDArray[np.float64]:
        """Best value after each evaluation, ``[n]``."""
        values = self.trials["value"].to_numpy(float)
        running = np.minimum if self.goal == "minimize" else np.maximum
        return running.accumulate(values)

    def seconds(self) -> NDArray[np.float64]:
        """Seconds of evaluation spent after each one, ``[n]``; the sampler's own are not in it."""
        return self.trials["seconds"].to_numpy(float).cumsum()


def read_traces(source: str, metric: str | None = None, goal: Goal = "minimize") -> list[Trace]:
    """The searches of one source; none where its study searches nothing.

    Args:
        source: a run's results folder, a folder of W&B runs, or ``wandb:entity/project/sweep``.
        metric: the number by which W&B runs are judged; default: ``objective``.
        goal: whether that is to be small or large.

    Raises:
        LrrayError: there is nothing to read, or W&B does not answer.
    """
    if source.startswith(ONLINE):
        return _from_wandb_sweep(source, metric)
    path = Path(source)
    if (path / "study.yaml").exists():
        return _from_results(Run(path))
    from lrray.tracking.wandb_files import find_runs

    files = find_runs(path) if path.exists() else []
    if not files:
        raise LrrayError(
            source, "is neither a run's results folder nor a folder of W&B runs",
            fix="e.g. results/difficulty/20260101-120000-ab12, or wandb:entity/project/sweep",
        )  # fmt: skip
    return [_from_wandb_files(source, files, metric or OBJECTIVE, goal)]


def _from_results(run: Run) -> list[Trace]:
    """One trace per search of a run's journal."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    journal = run.path / "optuna.journal"
    if not journal.exists():
        return []
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        names = optuna.get_all_study_names(storage)
        searches = {name: optuna.load_study(study_name=name, storage=storage) for name in names}
        trials = {
            name: search.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            for name, search in searches.items()
        }
    except (ValueError, KeyError, OSError) as error:
        raise LrrayError(str(journal), f"cannot be read: {error}", fix="resume the run") from None
    settings = run.settings
    search = settings.get("search", {})
    metric = search.get("metric", OBJECTIVE)
    goal: Goal = "maximize" if search.get("mode") == "max" else "minimize"
    axes = _axes(settings, names)
    return [
        Trace(
            *_series_and_match(axes[name]), _optuna_table(trials[name], metric), metric, goal,
            _contour_task(settings, axes[name]),
        )
        for name in names if trials[name]
    ]  # fmt: skip


def _optuna_table(trials: Iterable[Any], metric: str) -> pd.DataFrame:
    rows = []
    for trial in trials:
        took = (trial.datetime_complete - trial.datetime_start).total_seconds()
        row = {"seconds": took, **trial.params, **trial.user_attrs}
        rows.append({**row, "value": trial.user_attrs.get(metric, trial.value)})
    return pd.DataFrame(rows)


def _axes(settings: Mapping[str, Any], names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Axes of each search: those of its grid point, whose label opens its name, and its seed."""
    grid = settings.get("grid")
    points = [GridPoint({}, None)]
    if grid is not None:
        points = [GridPoint(axes, None) for axes in grid_points(grid, "grid")]
    found = {}
    for name in names:
        point = next(
            (p for p in points if _opens(p.label, name)), GridPoint({"search": name}, None)
        )
        own = name.removeprefix(point.label).strip()
        seed = {"seed": own.removeprefix("seed-")} if own.startswith("seed-") else {}
        found[name] = {**point.axes, **seed}
    return found


def _opens(label: str, name: str) -> bool:
    return not label or name == label or name.startswith(f"{label} ")


def _series_and_match(axes: Mapping[str, Any]) -> tuple[str, str]:
    """Axes in words, those that name seeds apart from the others."""
    words: tuple[list[str], list[str]] = ([], [])
    for name, value in axes.items():
        is_seed = axis_name(name) == "seed"
        words[is_seed].append(f"{name}={value}" if is_seed else f"{axis_name(name)}={value}")
    return " ".join(words[False]), " ".join(words[True])


def _contour_task(settings: Mapping[str, Any], axes: Mapping[str, Any]) -> ContourTask | None:
    """The contour that a search looked for; the target may be an axis of its grid."""
    space, target = settings.get("search_space", {}), settings.get("target", {})
    if set(space) != set(ALPHAS) or not isinstance(target, Mapping):
        return None
    low, high = ([space[name][end] for name in ALPHAS] for end in ("low", "high"))
    bounds = Bounds((low[0], low[1]), (high[0], high[1]))
    value, metric = (axes.get(f"target.{key}", target[key]) for key in ("value", "metric"))
    return ContourTask(bounds, float(value), str(metric))


def _from_wandb_files(source: str, files: list[Path], metric: str, goal: Goal) -> Trace:
    """One trace of all runs in a folder, each run one evaluation."""
    from lrray.tracking.wandb_files import read_run

    runs = {}
    for path in files:
        run = read_run(path)
        if metric in run.summary:
            runs[run.id] = run  # of a continued run, the later file is the whole one
    if not runs:
        names = {name for path in files for name in read_run(path).summary}
        shown = {name for name in names if not name.startswith("_")}
        raise LrrayError(
            source, f"no W&B run there has {metric!r} in its summary",
            fix=f"--metric NAME; {did_you_mean(metric, shown)}",
        )  # fmt: skip
    ordered = sorted(runs.values(), key=lambda run: run.started_at)
    rows = [_wandb_row(run.config, run.summary, metric) for run in ordered]
    return Trace("", "", pd.DataFrame(rows), metric, goal)


def _wandb_row(
    config: Mapping[str, Any], summary: Mapping[str, Any], metric: str
) -> dict[str, float]:
    # The runs of a tracked study keep their parameters among their cell's axes.
    cell = config.get("cell")
    given = {**config, **(cell if isinstance(cell, Mapping) else {}), **summary}
    numbers = {name: value for name, value in given.items() if isinstance(value, int | float)}
    seconds = numbers.get("seconds", numbers.get("_runtime", float("nan")))
    return {**numbers, "seconds": seconds, "value": numbers[metric]}


def _from_wandb_sweep(source: str, metric: str | None) -> list[Trace]:
    """One trace of an online sweep's finished runs."""
    import wandb

    place = source.removeprefix(ONLINE)
    try:
        sweep = wandb.Api(timeout=20).sweep(place)
        asked = sweep.config.get("metric", {})
        name = metric or asked.get("name", OBJECTIVE)
        runs = sorted(sweep.runs, key=lambda run: run.created_at)
        rows = [
            _wandb_row(run.config, dict(run.summary), name) for run in runs if name in run.summary
        ]
    except Exception as error:  # wandb raises its own, requests' and plain ValueErrors here
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LrrayError(
            source, f"W&B does not give this sweep: {reason}",
            fix="check the network and 'wandb login', and write wandb:entity/project/sweep",
        ) from None  # fmt: skip
    if not rows:
        raise LrrayError(source, f"no run of this sweep has {name!r}", fix="--metric NAME")
    goal: Goal = "maximize" if asked.get("goal") == "maximize" else "minimize"
    return [Trace("", "", pd.DataFrame(rows), name, goal)]


def named(trace: Trace, source: str, several: bool) -> Trace:
    """The trace with its source's name before its series, where there are several sources."""
    if not several and trace.series:
        return trace
    return replace(trace, series=f"{source} {trace.series}".strip())
