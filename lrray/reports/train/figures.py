"""Figures of a training study: two kinds of latents side by side, and bars of bits per token."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from lrray.reports.grid.figures import band, error_line, lay_out, numeric_axis, scale, size, spread
from lrray.reports.style import COLORS, figure
from lrray.reports.train.comparisons import METRIC, PAIR, pair_names, spoken
from lrray.results.groups import Group, MeanCurve, label, varying
from lrray.studies.axes import axis_name

MAX_GROUPS, MAX_ROWS = 12, 40

_MEANINGS = {
    METRIC: "excess loss [bits/token]",
    "share_captured": "share of information captured",
    "share_beyond_trigram": "share beyond the trigram",
    "kl_by_position_bits": "KL to the exact law [bits/token]",
}
_BARS = {"bound_bits": "exact bound", "loss_bits": "model"}


def settings_of(groups: list[Group], x_axis: str | None = None) -> dict[str, list[Group]]:
    """Groups that differ in kind and ``x_axis`` alone, by what tells them from the others."""
    names = _axes_besides_pair(groups, x_axis)
    settings: dict[str, list[Group]] = {}
    for group in groups:
        settings.setdefault(_title(group, names), []).append(group)
    return settings


def _axes_besides_pair(groups: list[Group], x_axis: str | None = None) -> list[str]:
    return [name for name in varying(groups) if name not in (PAIR, x_axis)]


def _title(group: Group, names: Sequence[str]) -> str:
    """Its axes in words; of a single axis a word alone, but a number with the axis's name."""
    own = {name: group.axes[name] for name in names if name in group.axes}
    if len(names) == 1 and isinstance(word := own.get(names[0]), str):
        return word
    return label(own) if own else ""


def excess_figure(groups: list[Group], metric: str = METRIC) -> Figure:
    """Mean ± standard error of both kinds: over an axis of numbers, or a row per setting."""
    x_axis = numeric_axis(groups)
    if x_axis is None:
        return _rows(groups, metric)
    panels, kinds = settings_of(groups, x_axis), _kinds(groups)
    with figure(*size(len(panels))) as drawn:
        every = lay_out(drawn, list(panels))
        for axes, own in zip(every, panels.values(), strict=False):
            for kind, color in kinds.items():
                of_kind = [group for group in own if group.axes.get(PAIR) == kind]
                error_line(axes, of_kind, x_axis, metric, spoken(kind), color)
        for axes in every:  # they share an axis, whose limits hold what all of them draw
            scale(axes, varying(groups)[x_axis])
            if metric == METRIC:
                _scale_excess(axes, groups)
            _finish(axes, axis_name(x_axis), metric)
    return drawn


def excess_curves_figure(curves: list[tuple[Group, MeanCurve]], metric: str = METRIC) -> Figure:
    """Excess loss or a share over steps, a panel per setting; of many some from first to last."""
    by_group = {id(group): curve for group, curve in curves}

    def draw(axes: Axes, group: Group, name: str, color: str) -> None:
        band(axes, by_group[id(group)], name, color)

    return _panels([g for g, _ in curves], draw, lambda axes: _finish(axes, "step", metric))


def _panels(
    groups: list[Group],
    draw: Callable[[Axes, Group, str, str], None],
    finish: Callable[[Axes], None],
) -> Figure:
    """A panel per setting, in which each group is drawn under its kind's name in its colour."""
    panels, kinds = settings_of(groups), _kinds(groups)
    titles = spread(list(panels))
    with figure(*size(len(titles))) as drawn:
        for axes, title in zip(lay_out(drawn, titles), titles, strict=True):
            for group in panels[title]:
                kind = str(group.axes.get(PAIR))
                draw(axes, group, spoken(kind), kinds[kind])
            finish(axes)
    return drawn


def _kinds(groups: list[Group]) -> dict[str, str]:
    """The kinds of latents and their colours, the same in every figure."""
    kinds = dict.fromkeys([*pair_names(groups), *(str(g.axes.get(PAIR)) for g in groups)])
    return {kind: COLORS[i % len(COLORS)] for i, kind in enumerate(kinds)}


def _rows(groups: list[Group], metric: str) -> Figure:
    """A row per setting with a dot for each kind."""
    settings, kinds = list(settings_of(groups).items())[:MAX_ROWS], _kinds(groups)
    names = _axes_besides_pair(groups)
    with figure(6.4, 1.3 + 0.42 * len(settings)) as drawn:
        axes = drawn.subplots()
        for kind, color in kinds.items():
            known = [
                (row, summary)
                for row, (_, own) in enumerate(settings)
                for group in own
                if group.axes.get(PAIR) == kind and (summary := group.summary(metric))
            ]
            axes.errorbar(
                [summary.mean for _, summary in known], [row for row, _ in known],
                xerr=[np.nan_to_num(summary.standard_error) for _, summary in known],
                fmt="o", color=color, capsize=3, label=spoken(kind),
            )  # fmt: skip
        axes.set_yticks(range(len(settings)), [name or "all cells" for name, _ in settings])
        axes.set_ylim(len(settings) - 0.5, -0.5)
        if metric == METRIC:
            axes.set_xlim(left=0)
        axes.grid(color="#eceff3")
        axes.set_axisbelow(True)
        name = axis_name(names[0]) if len(names) == 1 else ""
        axes.set(xlabel=_MEANINGS[metric], ylabel=name)
        axes.legend(fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return drawn


def _scale_excess(axes: Axes, groups: list[Group]) -> None:
    """A logarithmic axis where the excess falls by factors, as laws of data and size have it."""
    means = [summary.mean for group in groups if (summary := group.summary(METRIC))]
    if min(means) > 0 and max(means) / min(means) >= 8:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))  # more labels overlap
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.grid(which="both", color="#eceff3")
    else:
        axes.set_ylim(bottom=0)


def kl_by_position_figure(curves: list[tuple[Group, dict[float, str]]]) -> Figure:
    """KL over positions, a panel per setting.

    Args:
        curves: of each group the numbers that hold its divergences, by position.
    """
    names = {id(group): own for group, own in curves}

    def draw(axes: Axes, group: Group, name: str, color: str) -> None:
        known = {x: s for x, number in names[id(group)].items() if (s := group.summary(number))}
        axes.errorbar(
            list(known), [s.mean for s in known.values()],
            np.nan_to_num([s.standard_error for s in known.values()]),
            marker="o", ms=4.5, lw=1.5, capsize=2.5, label=name, color=color,
        )  # fmt: skip

    def finish(axes: Axes) -> None:
        axes.set_xscale("log", base=2)
        axes.set_ylim(bottom=0)
        _finish(axes, "position (octaves)", "kl_by_position_bits")

    return _panels([group for group, _ in curves], draw, finish)


def _finish(axes: Axes, x_name: str, metric: str) -> None:
    axes.set(xlabel=x_name, ylabel=_MEANINGS[metric])
    axes.label_outer()
    axes.legend(fontsize=8)


def bars_figure(groups: list[Group], names: Sequence[str]) -> Figure:
    """A cluster of bars per group, one bar per number, whiskers of one standard error."""
    shown, axes_names = groups[:MAX_GROUPS], _axes_besides_pair(groups)
    width = 0.8 / len(names)
    with figure(max(5.6, 1.6 * len(shown)), 3.9) as drawn:
        axes = drawn.subplots()
        axes.grid(axis="y", color="#eceff3")
        axes.set_axisbelow(True)
        for i, name in enumerate(names):
            summaries = [group.summary(name) for group in shown]
            known = [(x, s) for x, s in enumerate(summaries) if s is not None]
            axes.bar(
                [x + (i - (len(names) - 1) / 2) * width for x, _ in known],
                [s.mean for _, s in known], width, color=COLORS[i % len(COLORS)],
                yerr=[np.nan_to_num(s.standard_error) for _, s in known], capsize=2,
                label=_BARS.get(name, name.removesuffix("_bits")), error_kw={"lw": 1},
            )  # fmt: skip
        labels = [
            f"{spoken(str(group.axes.get(PAIR)))} {_title(group, axes_names)}".strip()
            for group in shown
        ]
        axes.set_xticks(range(len(shown)), [s.replace(" ", "\n") for s in labels], fontsize=8)
        axes.set(ylabel="bits per token")
        axes.legend(fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.16))
    return drawn
