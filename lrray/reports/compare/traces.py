"""Searches as comparisons see them, read from results folders, W&B run folders and W&B sweeps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lrray.difficulty.bounds import Bounds
from lrray.errors import LrrayError, did_you_mean
from lrray.results.record import DONE, CellRecord
from lrray.results.run import Run
from lrray.search.objective import OBJECTIVE
from lrray.search.proposals import JOURNAL, PROPOSALS, proposed_cells
from lrray.studies.axes import axis_name
from lrray.studies.grid import GridPoint, grid_points

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

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
        try:
            return _from_results(Run(path))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if isinstance(error, LrrayError):
                raise
            why = f"holds a search that cannot be read: {type(error).__name__}: {error}"
            raise LrrayError(source, why, fix="'lrray runs show' says what is damaged") from error
    from lrray.tracking.wandb_files import find_runs

    files = find_runs(path) if path.exists() else []
    if not files:
        raise LrrayError(
            source, "is neither a run's results folder nor a folder of W&B runs",
            fix="e.g. results/difficulty/20260101-120000-ab12, or wandb:entity/project/sweep",
        )  # fmt: skip
    return [_from_wandb_files(source, files, metric or OBJECTIVE, goal)]


def _from_results(run: Run) -> list[Trace]:
    """One trace per search of a run, in the order of its grid."""
    settings = run.settings
    search = settings.get("search", {})
    metric = search.get("metric", OBJECTIVE)
    goal: Goal = "maximize" if search.get("mode") == "max" else "minimize"
    measured = _measured(run)
    traces = []
    for name, axes in _axes(settings, measured).items():
        task = _contour_task(settings, axes)
        rows = [_row(parameters, record, metric, task) for parameters, record in measured[name]]
        if rows:
            traces.append(
                Trace(*_series_and_match(axes), pd.DataFrame(rows), metric, goal, task)
            )  # fmt: skip
    return traces


def _measured(run: Run) -> dict[str, list[tuple[Mapping[str, Any], CellRecord]]]:
    """Parameters and records of every search's trials that were measured, as proposed."""
    if not any((run.path / name).exists() for name in (PROPOSALS, JOURNAL)):
        return {}  # a study without a search
    done = {record.id: record for record in run.records() if record.state == DONE}
    proposed = proposed_cells(run.path)
    if proposed:
        return {
            name: [(p, done[cell_id]) for cell_id, p in cells if cell_id in done]
            for name, cells in proposed.items()
        }
    from lrray.search.journal import read_journal

    # A run of lrray 0.2.0, which does not name the cells of its proposals.
    trials = read_journal(run.path / JOURNAL)
    return {name: list(_with_records(own, done.values())) for name, own in trials.items()}


def _with_records(
    trials: Iterable[FrozenTrial], records: Iterable[CellRecord]
) -> Iterator[tuple[Mapping[str, Any], CellRecord]]:
    """Measured trials and their cells: those at their parameters that gave their numbers."""
    measured = [trial for trial in trials if trial.user_attrs]
    names = list(measured[0].params) if measured else []
    at_place: dict[str, list[CellRecord]] = defaultdict(list)
    for record in records:
        at_place[repr([record.axes.get(name) for name in names])].append(record)
    for trial in measured:
        for record in at_place[repr([trial.params.get(name) for name in names])]:
            numbers = {k: v for k, v in record.result.items() if isinstance(v, int | float)}
            if numbers.items() <= trial.user_attrs.items():
                yield trial.params, record
                break


def _row(
    parameters: Mapping[str, Any], record: CellRecord, metric: str, task: ContourTask | None
) -> dict[str, Any]:
    """A trial's row: what it measured, and how that is judged."""
    numbers = {k: float(v) for k, v in record.result.items() if isinstance(v, int | float)}
    if task is None:
        value = numbers.get(metric, np.nan)
    else:
        value = abs(numbers[task.metric] - task.target)
        numbers["difficulty"] = numbers[task.metric]
        numbers["difficulty_se"] = numbers.get(f"{task.metric}_se", np.nan)
    return {**parameters, **numbers, "seconds": record.seconds, "value": value}


def _axes(settings: Mapping[str, Any], names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Axes of each search: those of its grid point, whose label opens its name, and its seed."""
    grid = settings.get("grid")
    points = [GridPoint({}, None)]
    if grid is not None:
        points = [GridPoint(axes, None) for axes in grid_points(grid, "grid")]
    found = []
    for name in names:
        at = next((i for i, p in enumerate(points) if _opens(p.label, name)), len(points))
        point = points[at] if at < len(points) else GridPoint({"search": name}, None)
        own = name.removeprefix(point.label).strip()
        seed = {"seed": own.removeprefix("seed-")} if own.startswith("seed-") else {}
        found.append((at, name, {**point.axes, **seed}))
    return {name: axes for _, name, axes in sorted(found, key=lambda one: one[:2])}


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
