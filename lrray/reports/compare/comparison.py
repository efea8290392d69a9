"""``lrray compare``: searches side by side, and cells that several studies share.

Searches of one series differ in their seeds alone; a series is compared with the first one, pair
by pair of equal seeds. Cells are paired by their axes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrray.errors import LrrayError
from lrray.reports.compare.contour_error import (
    common_task,
    contour_errors,
    contour_of,
    measures_contour,
)
from lrray.reports.compare.traces import ALPHAS, ContourTask, Goal, Trace, named, read_traces
from lrray.results.record import DONE, CellRecord
from lrray.results.run import Run, newest_runs
from lrray.statistics import holm, paired_difference, summarize
from lrray.studies.axes import axes_text


@dataclass
class Comparison:
    """What was compared; empty tables where there was nothing of the kind."""

    curves: pd.DataFrame
    """A row per evaluation: ``series, match, evaluation, seconds, value, best``."""
    contour_errors: pd.DataFrame
    """A row per number of trials: ``series, match, evaluations, contour_error``."""
    series: pd.DataFrame
    """A row per series: mean and standard error over its searches of what they reached."""
    paired: pd.DataFrame
    """A row per comparison of two series, or of two studies' cells, and number; ``low`` to ``high``
    is the 95 % t interval, ``bootstrap_low`` to ``bootstrap_high`` that of the bootstrap."""
    metric: str = ""
    goal: Goal = "minimize"
    reference: str = ""
    """Whose contour the errors are distances to."""


def compare(
    sources: Sequence[str],
    metric: str | None = None,
    goal: Goal = "minimize",
    reference: str | None = None,
) -> Comparison:
    """Compares results folders, W&B run folders and W&B sweeps.

    Args:
        sources: each a path, ``wandb:entity/project/sweep``, or ``NAME=`` and one of them.
        metric: the number by which W&B runs are judged; default: ``objective``.
        goal: whether that is to be small or large.
        reference: a run whose trials give the reference contour; default: all trials pooled.

    Raises:
        LrrayError: a source cannot be read, or there is nothing to compare.
    """
    places = [_name_and_place(source) for source in sources]
    traces = [
        named(trace, name, len(places) > 1)
        for name, place in places
        for trace in read_traces(place, metric, goal)
    ]
    if not traces:
        return _compare_cells(places)
    if len({(trace.metric, trace.goal) for trace in traces}) > 1:
        got = sorted({f"{trace.goal} {trace.metric}" for trace in traces})
        raise LrrayError("compare", "all searches must have one metric", got=got, fix="--metric")
    errors, described = _contour_errors(traces, reference)
    return Comparison(
        _curves(traces), errors, _series_table(traces, errors), _paired_traces(traces, errors),
        traces[0].metric, traces[0].goal, described,
    )  # fmt: skip


def _name_and_place(source: str) -> tuple[str, str]:
    name, equals, place = source.partition("=")
    if equals and name and not Path(source).exists():
        return name, newest_of(place)
    place = newest_of(source)
    return "/".join(Path(place).parts[-2:]), place


def newest_of(place: str) -> str:
    """The newest run, where a study's folder is given."""
    path = Path(place)
    is_study = not (path / "study.yaml").exists() and any(path.glob("*/study.yaml"))
    return str(newest_runs(path)[0].path) if is_study else place


def _curves(traces: Iterable[Trace]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({
            "series": trace.series,
            "match": trace.match,
            "evaluation": np.arange(1, len(trace) + 1),
            "seconds": trace.seconds(),
            "value": trace.trials["value"],
            "best": trace.best(),
        })
        for trace in traces
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _contour_errors(traces: Sequence[Trace], reference: str | None) -> tuple[pd.DataFrame, str]:
    """Errors against the reference contour, and the reference in words."""
    task = common_task(traces)
    own = [trace for trace in traces if task is not None and measures_contour(trace, task)]
    if task is None or not own:
        if reference is not None:
            raise LrrayError(reference, "these searches look for no common contour")
        return pd.DataFrame(columns=["series", "match", "evaluations", "contour_error"]), ""
    pool = own if reference is None else _reference(newest_of(reference), task)
    trials = pd.concat([trace.trials for trace in pool], ignore_index=True)
    line = contour_of(trials, task)
    if not len(line):
        return pd.DataFrame(columns=["series", "match", "evaluations", "contour_error"]), ""
    places = len(trials.drop_duplicates(list(ALPHAS)))
    whose = "all runs" if reference is None else reference
    return contour_errors(own, task, line), f"the contour of {places} places measured by {whose}"


def _reference(source: str, task: ContourTask) -> list[Trace]:
    pool = [trace for trace in read_traces(source) if measures_contour(trace, task)]
    if not pool:
        raise LrrayError(source, "holds no search of this contour", fix="give another --reference")
    return pool


def _series_table(traces: Sequence[Trace], errors: pd.DataFrame) -> pd.DataFrame:
    """What every series reached with the number of evaluations that all searches have."""
    n = min(map(len, traces))
    rows = []
    for series in dict.fromkeys(trace.series for trace in traces):
        own = [trace for trace in traces if trace.series == series]
        row: dict[str, Any] = {"series": series, "searches": len(own), "evaluations": n}
        _add(row, "best", [trace.best()[n - 1] for trace in own])
        _add(row, "seconds", [trace.seconds()[n - 1] for trace in own])
        last = _errors_at(errors, series, n)
        if len(last):
            found = last.dropna()
            row["contours_found"] = len(found)
            _add(row, "contour_error", found.tolist())
        rows.append(row)
    return pd.DataFrame(rows)


def _errors_at(errors: pd.DataFrame, series: str, n: int) -> pd.Series:
    """Contour error by seed, at the largest number of trials up to ``n`` that was looked at.

    NaN where there was no contour then, whatever there was before.
    """
    own = errors[(errors["series"] == series) & (errors["evaluations"] <= n)]
    last = own.sort_values("evaluations").groupby("match").tail(1)
    return last.set_index("match")["contour_error"].astype(float)


def _add(row: dict[str, Any], name: str, values: Sequence[float]) -> None:
    if not values:
        row[name], row[f"{name}_se"] = np.nan, np.nan
        return
    statistics = summarize(values)
    # Searches that ended alike differ in their last digits at most.
    alike = np.allclose(values, values[0], rtol=1e-9, atol=0)
    error = 0.0 if alike and len(values) > 1 else statistics.standard_error
    row[name], row[f"{name}_se"] = statistics.mean, error


def _paired_traces(traces: Sequence[Trace], errors: pd.DataFrame) -> pd.DataFrame:
    """Every series against the first, over the seeds that both have."""
    n = min(map(len, traces))
    names = list(dict.fromkeys(trace.series for trace in traces))
    best = {
        name: pd.Series({t.match: t.best()[n - 1] for t in traces if t.series == name})
        for name in names
    }
    numbers = {"best": best, "contour_error": {s: _errors_at(errors, s, n) for s in names}}
    rows = []
    for number, by_series in numbers.items():
        rows += paired_rows(number, by_series, [(names[0], other) for other in names[1:]])
    return pd.DataFrame(rows, columns=PAIRED)


PAIRED = [
    "number", "a", "b", "pairs", "difference", "difference_se", "low", "high", "bootstrap_low",
    "bootstrap_high", "p", "p_holm",
]  # fmt: skip


def paired_rows(
    number: str, by_name: Mapping[str, pd.Series], pairs: Iterable[tuple[str, str]]
) -> list[dict[str, Any]]:
    """``a - b`` of each pair of names that have values in common, p corrected over all of them."""
    rows: list[dict[str, Any]] = []
    for first, other in pairs:
        both = pd.concat([by_name[first], by_name[other]], axis=1, join="inner").dropna()
        if not len(both):
            continue
        result = paired_difference(both.iloc[:, 0].to_numpy(), both.iloc[:, 1].to_numpy())
        said = result.difference
        rows.append({
            "number": number, "a": first, "b": other, "pairs": said.n, "difference": said.mean,
            "difference_se": said.standard_error, "low": said.low, "high": said.high,
            "bootstrap_low": result.bootstrap[0], "bootstrap_high": result.bootstrap[1],
            "p": result.p_value,
        })  # fmt: skip
    for row, adjusted in zip(rows, holm([float(row["p"]) for row in rows]), strict=True):
        row["p_holm"] = adjusted
    return rows


def _compare_cells(places: Sequence[tuple[str, str]]) -> Comparison:
    """Studies without a search: their finished cells, paired by their axes."""
    tables = {name: numbers_by_axes(Run(Path(place)).wanted_records()) for name, place in places}
    numbers = list(next(iter(tables.values())).columns)
    first = places[0][0]
    rows = []
    for number in numbers:
        own = {name: table[number] for name, table in tables.items() if number in table}
        rows += paired_rows(number, own, [(first, other) for other in own if other != first])
    if not rows:
        raise LrrayError(
            "compare", "these runs hold no search and share no cell",
            fix="give two or more runs whose cells have equal axes, or runs of searches",
        )  # fmt: skip
    empty = pd.DataFrame()
    return Comparison(empty, empty, empty, pd.DataFrame(rows, columns=PAIRED))


def numbers_by_axes(records: Iterable[CellRecord], without: Collection[str] = ()) -> pd.DataFrame:
    """Numbers of finished cells, by their axes in words but for those left out."""
    rows = {}
    for record in records:
        if record.state == DONE:
            plain = {k: v for k, v in record.result.items() if isinstance(v, int | float)}
            axes = {k: v for k, v in sorted(record.axes.items()) if k not in without}
            rows[axes_text(axes)] = {k: v for k, v in plain.items() if not k.endswith("_se")}
    return pd.DataFrame.from_dict(rows, orient="index")
