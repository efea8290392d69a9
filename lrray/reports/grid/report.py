"""The report of any study whose results are cells: means over seeds by axes, learning curves."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lrray.reports.content import Picture, Row, Section, Table
from lrray.reports.grid.figures import curves_figure, means_figure, search_figure, split_lines
from lrray.results.groups import (
    Group,
    by_interest,
    groups_of,
    label,
    metrics_of,
    varying,
)
from lrray.results.run import Run
from lrray.statistics import Summary
from lrray.studies.axes import axes_label
from lrray.studies.cell import digest
from lrray.text import in_words

MAX_FIGURES = 4
"""Metrics that get a figure of their own; all are in the table."""

_LONGEST_STEM = 80
"""Characters of a metric in a file's name."""


def answer(run: Run) -> str:
    """The best, or the lowest and highest, mean of the first metric, with errors and counts."""
    groups = groups_of(run.wanted_records())
    metrics = metrics_of(groups)
    if not metrics:
        return f"No cell has finished yet ({_counts(run)})."
    metric, mode = _objective(run, metrics)
    ranked = [(group.summary(metric), group) for group in groups]
    known = [(summary, group) for summary, group in ranked if summary is not None]
    known.sort(key=lambda pair: pair[0].mean)
    if mode:
        best, group = known[0] if mode == "min" else known[-1]
        which = "lowest" if mode == "min" else "highest"
        return (
            f"The {which} {metric} of {len(known)} trials is {in_words(best)} at "
            f"{_told(group, groups)} ({_counts(run)})."
        )
    (low, lowest), (high, highest) = known[0], known[-1]
    if len(known) == 1:
        return f"{metric} is {in_words(low)} ({_counts(run)})."
    return (
        f"{metric} runs from {in_words(low)} at {_told(lowest, groups)} to {in_words(high)} at "
        f"{_told(highest, groups)} ({_counts(run)})."
    )


def sections(run: Run) -> list[Section]:
    """Results by axes, then learning curves where cells logged any."""
    groups = groups_of(run.wanted_records())
    metrics = metrics_of(groups)
    if not metrics:
        return [Section("Results", f"No cell has finished yet ({_counts(run)}).")]
    metric, mode = _objective(run, metrics)
    ordered = [metric, *(name for name in metrics if name != metric)]
    text = "Means over seeds with their standard errors; n is the number of seeds."
    parts = [
        Section("Results", text, (_table(groups, metrics),), _pictures(run, groups, ordered, mode))
    ]
    return [*parts, *_best(run), *_curves(run, groups)]


def _best(run: Run) -> list[Section]:
    """The best trial of each condition of a search that has ended."""
    best = run.summary.get("best", [])
    if not best:
        return []
    rows: list[Row] = [
        {
            "best of": row.get("condition"), str(row.get("metric")): row.get("value"),
            "settings": axes_label(row.get("settings", {})),
            **{state: row.get(state) for state in ("done", "stopped", "failed")},
        }
        for row in best
    ]  # fmt: skip
    text = "The best trial of each condition, and how its trials ended."
    return [Section("Best of each condition", text, (Table("best", text, rows),))]


def _objective(run: Run, metrics: list[str]) -> tuple[str, str]:
    """The metric that a search judges by and its direction, else the first one."""
    search = run.settings.get("search") or {}
    metric = search.get("metric")
    return (metric, search.get("mode", "min")) if metric in metrics else (metrics[0], "")


def _counts(run: Run) -> str:
    states = Counter(record.state for record in run.wanted_records())
    total = (run.summary or run.status).get("cells") or run.status.get("total")
    done = f"{states['done']} of {total} cells done" if total else f"{states['done']} cells done"
    rest = [f"{count} {state}" for state, count in states.items() if state != "done"]
    return ", ".join([done, *rest])


def _told(group: Group, groups: list[Group]) -> str:
    axes = {name: group.axes[name] for name in varying(groups) if name in group.axes}
    return label(axes or group.axes)


def _table(groups: list[Group], metrics: list[str]) -> Table:
    rows: list[Row] = []
    for group in groups:
        numbers: dict[str, Summary | None] = {name: group.summary(name) for name in metrics}
        rows.append({**{name: _plain(value) for name, value in group.axes.items()}, **numbers})
    return Table("means", f"Results of {len(groups)} settings", rows)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float) or value is None else str(value)


def _pictures(run: Run, groups: list[Group], metrics: list[str], mode: str) -> tuple[Picture, ...]:
    axes = varying(groups)
    searched = [name for name in run.settings.get("search_space") or {} if name in axes]
    if mode and searched:
        caption = f"{metrics[0]} of all {len(groups)} trials over each searched setting, ± one "
        caption += "standard error over seeds."
        draw = lambda: search_figure(groups, metrics[0], searched)  # noqa: E731
        return (Picture("search", caption, draw),)
    if not axes:
        return ()
    return tuple(_means_picture(groups, name) for name in metrics[:MAX_FIGURES])


def _means_picture(groups: list[Group], metric: str) -> Picture:
    counts = sorted({len(group.values(metric)) for group in groups})
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    caption = f"{metric}: mean ± one standard error over seeds ({n})."
    if counts == [1]:
        caption = f"{metric} of a single seed each."
    return Picture(f"means_{_stem(metric)}", caption, lambda: means_figure(groups, metric))


def _curves(run: Run, groups: list[Group]) -> list[Section]:
    points = {record.id: run.metrics(record.id) for group in groups for record in group.records}
    names = dict.fromkeys(
        name
        for own in points.values()
        for point in own
        for name, value in point.items()
        if isinstance(value, int | float) and name != "step"
    )
    pictures = []
    for name in by_interest(names, metrics_of(groups))[:MAX_FIGURES]:
        curves = [(group, group.curve(points.__getitem__, name)) for group in groups]
        pictures.append(_curves_picture([(g, c) for g, c in curves if c is not None], name))
    return [Section("Learning curves", "", pictures=tuple(pictures))] if pictures else []


def _curves_picture(curves: list[Any], metric: str) -> Picture:
    shown = sum(len(lines) for lines in split_lines([group for group, _ in curves]).values())
    caption = f"{metric} over steps: mean over seeds, the band is ± one standard error."
    if shown < len(curves):
        caption += f" {shown} of {len(curves)} settings are drawn."
    return Picture(f"curves_{_stem(metric)}", caption, lambda: curves_figure(curves, metric))


def _stem(metric: str) -> str:
    """A metric's name as part of a file's name."""
    plain = "".join(c if c.isalnum() or c in "_-" else "_" for c in metric)
    if plain in (metric, metric.replace("/", "_")) and len(plain) <= _LONGEST_STEM:
        return plain
    return f"{plain[:_LONGEST_STEM]}_{digest(metric)[:6]}"  # others may look the same
