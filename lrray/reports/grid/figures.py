"""Figures of grids: means with error bars, mean curves with bands, trials of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrray.reports.style import ALONE, COLORS, figure
from lrray.results.groups import Group, MeanCurve, label, varying

MAX_LINES, MAX_PANELS = len(COLORS), 6
_PANEL = (3.85, 3.2)


def split_lines(
    groups: list[Group], x_axis: str | None = None
) -> dict[str, dict[str, list[Group]]]:
    """Shares groups out to panels, so that no panel needs more colours than there are.

    Returns:
        Title of a panel, empty for a single one -> label of a line -> its groups.
    """
    axes = {name: values for name, values in varying(groups).items() if name != x_axis}
    facet = None
    if len({_line(group, axes) for group in groups}) > MAX_LINES:
        few = [name for name, values in axes.items() if len(values) <= MAX_PANELS]
        facet = min(few, key=lambda name: abs(len(axes[name]) - 3)) if few else None
    panels: dict[str, dict[str, list[Group]]] = {}
    within = {name: values for name, values in axes.items() if name != facet}
    for group in groups:
        title = label({facet: group.axes.get(facet)}) if facet else ""
        lines = panels.setdefault(title, {})
        line = _line(group, within)
        if line in lines or len(lines) < MAX_LINES:
            lines.setdefault(line, []).append(group)
    return panels


def _line(group: Group, axes: dict[str, Any]) -> str:
    return label({name: group.axes[name] for name in axes if name in group.axes})


def means_figure(groups: list[Group], metric: str) -> Figure:
    """Mean ± standard error over the longest numeric axis, a line per other setting."""
    x_axis = numeric_axis(groups)
    if x_axis is None:
        return _dots(groups, metric)
    panels = split_lines(groups, x_axis)
    with figure(*size(len(panels))) as drawn:
        for axes, lines in zip(lay_out(drawn, list(panels)), panels.values(), strict=False):
            for line, own in lines.items():
                error_line(axes, own, x_axis, metric, line)
            scale(axes, varying(groups)[x_axis])
            _finish(axes, x_axis, metric, lines)
    return drawn


def numeric_axis(groups: list[Group]) -> str | None:
    """The axis of numbers with the most values."""
    axes = varying(groups)
    numeric = [
        name
        for name, values in axes.items()
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    ]
    return max(numeric, key=lambda name: len(axes[name])) if numeric else None


def error_line(
    axes: Axes, groups: list[Group], x_axis: str, metric: str, line: str, color: str | None = None
) -> None:
    """Means with whiskers of one standard error, joined in the order of ``x_axis``."""
    points = [(g.axes[x_axis], g.summary(metric)) for g in groups if x_axis in g.axes]
    known = sorted((x, s.mean, s.standard_error) for x, s in points if s is not None)
    if known:
        x, mean, error = (np.array(part, float) for part in zip(*known, strict=True))
        axes.errorbar(
            x, mean, np.nan_to_num(error), marker="o", ms=4.5, lw=1.5, capsize=2.5, label=line,
            color=color,
        )  # fmt: skip


def scale(axes: Axes, values: list[Any]) -> None:
    """A logarithmic axis for values that grow by factors; ticks at the values if they are few."""
    if min(values) > 0 and max(values) / min(values) >= 8:
        axes.set_xscale("log")
    if len(values) <= 8:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()


def _dots(groups: list[Group], metric: str) -> Figure:
    """One row per setting, where no axis is numeric."""
    names = varying(groups)
    shown = groups[:40]
    with figure(7.2, 1.2 + 0.3 * len(shown)) as drawn:
        axes = drawn.subplots()
        for row, group in enumerate(shown):
            summary = group.summary(metric)
            if summary is not None:
                error = np.nan_to_num(summary.standard_error)
                axes.errorbar(summary.mean, row, xerr=error, fmt="o", color=COLORS[0], capsize=2.5)
        axes.set_yticks(range(len(shown)), [_line(group, names) for group in shown])
        axes.invert_yaxis()
        axes.grid(axis="x", color="#e0e5eb")
        axes.set(xlabel=metric)
    return drawn


def curves_figure(curves: list[tuple[Group, MeanCurve]], metric: str) -> Figure:
    """Mean curves with bands of one standard error."""
    by_group = {id(group): curve for group, curve in curves}
    panels = split_lines([group for group, _ in curves])
    with figure(*size(len(panels))) as drawn:
        for axes, lines in zip(lay_out(drawn, list(panels)), panels.values(), strict=False):
            for line, own in lines.items():
                for group in own:
                    band(axes, by_group[id(group)], line)
            _finish(axes, "step", metric, lines)
    return drawn


def band(axes: Axes, curve: MeanCurve, line: str, color: str | None = None) -> None:
    """A mean curve and its standard error."""
    (drawn,) = axes.plot(
        curve.steps, curve.mean, lw=1.5, label=f"{line} (n = {curve.n})", color=color
    )
    if curve.n > 1:
        low, high = curve.mean - curve.error, curve.mean + curve.error
        axes.fill_between(curve.steps, low, high, color=drawn.get_color(), alpha=0.22, lw=0)


def search_figure(groups: list[Group], metric: str, searched: list[str]) -> Figure:
    """Every trial of a search over each searched setting."""
    searched = searched[:MAX_PANELS]
    with figure(*size(len(searched))) as drawn:
        for axes, name in zip(lay_out(drawn, [""] * len(searched)), searched, strict=True):
            for group in groups:
                summary, x = group.summary(metric), group.axes.get(name)
                if summary is not None and x is not None:
                    error = np.nan_to_num(summary.standard_error)
                    axes.errorbar(x, summary.mean, error, fmt="o", ms=4, color=COLORS[0], lw=1)
            values = varying(groups)[name]
            if not any(isinstance(value, str | bool) for value in values):
                scale(axes, values)
            axes.set(xlabel=name, ylabel=metric)
    return drawn


def spread(titles: Sequence[str]) -> list[str]:
    """All titles, or of many :data:`MAX_PANELS` from first to last."""
    chosen = np.unique(np.linspace(0, len(titles) - 1, MAX_PANELS).astype(int))
    return [titles[i] for i in chosen]


def size(panels: int) -> tuple[float, float]:
    """Width and height of a figure with so many panels."""
    rows, columns = _rows_and_columns(min(panels, MAX_PANELS))
    return ALONE if panels == 1 else (_PANEL[0] * columns, _PANEL[1] * rows)


def _rows_and_columns(panels: int) -> tuple[int, int]:
    columns = 2 if panels == 4 else min(panels, 3)
    return -(-panels // columns), columns


def lay_out(drawn: Figure, titles: Sequence[str]) -> list[Axes]:
    """The first :data:`MAX_PANELS` panels; titled ones share their scales."""
    titles = titles[:MAX_PANELS]
    shared = any(titles)
    rows, columns = _rows_and_columns(len(titles))
    grid = list(drawn.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared).flat)
    for axes in grid[len(titles) :]:
        axes.remove()
    for axes, title in zip(grid, titles, strict=False):
        axes.grid(color="#eceff3")
        axes.set_axisbelow(True)
        axes.set_title(title, loc="left", fontsize=10)
    return grid[: len(titles)]


def _finish(axes: Axes, x_name: str, y_name: str, lines: dict[str, Any]) -> None:
    axes.set(xlabel=x_name, ylabel=y_name)
    axes.label_outer()
    if list(lines) != ["all cells"]:
        axes.legend(fontsize=8)
