"""Figures of a two-hop study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lrray.reports.grid.figures import spread
from lrray.reports.style import COLORS, figure
from lrray.reports.twohop.numbers import Cells, Finding, adjusted_p_values, by_setting, mean_curves
from lrray.results.run import Run
from lrray.statistics import Summary

_LOSSES = {
    "true answers": "eval/2hop_nocot_loss",
    "shuffled answers": "eval/2hop_nocot_shuffled_loss",
}
_GAP = {"gap": "gap_2hop"}
_ACCURACIES = {
    "first hop (acc_a)": "acc_a",
    "both hops, reasoning": "acc_2hop_cot",
    "both hops, at once": "acc_2hop_nocot",
}
_PANELS = (
    (_LOSSES, "answer loss [nats/token]"),
    (_GAP, "gap: shuffled minus true [nats/token]"),
    (_ACCURACIES, "accuracy"),
)
"""Panels of a setting, from left to right: the names of the logged numbers, and the label."""

_CHANCES = (
    ("commonest_2hop", "always the commonest", "--"),
    ("chance_2hop", "another person's", ":"),
)
_COLORS = dict(zip((*_LOSSES, *_GAP, *_ACCURACIES), COLORS, strict=False))


def gaps_figure(findings: Sequence[Finding]) -> Figure:
    """Every attribute's gap with its interval, those of a setting and a category together.

    Filled where the interval lies on one side of 0 and p, adjusted for all, is below 0.05.
    """
    p_values = dict(zip(map(id, findings), adjusted_p_values(findings), strict=True))
    ordered = sorted(findings, key=lambda f: (f.cells.setting, f.category, -f.gap.mean))
    settings = list(dict.fromkeys(finding.cells.setting for finding in ordered))
    colors = dict(zip(settings, COLORS, strict=False)) if len(settings) <= len(COLORS) else {}
    with figure(7.0, 1.2 + 0.2 * len(ordered)) as drawn:
        axes = drawn.subplots()
        axes.axvline(0, color="black", lw=0.8)
        for row, finding in enumerate(ordered):
            color = colors.get(finding.cells.setting, COLORS[0])
            _gap(axes, row, finding, p_values[id(finding)], color)
            if row and _place(finding) != _place(ordered[row - 1]):
                axes.axhline(row - 0.5, color="#d5dae1", lw=0.8, zorder=0)
        names = [
            f"{f.category}: {f.cells.dataset} {f.attribute} {f.cells.setting}".rstrip()
            for f in ordered
        ]
        axes.set_yticks(range(len(ordered)), names, fontsize=7)
        axes.set_ylim(len(ordered) - 0.5, -0.5)
        axes.set_xlabel("gap: shuffled minus true loss [nats/token]")
    return drawn


def _place(finding: Finding) -> tuple[str, str]:
    """What stands together in the figure of gaps."""
    return finding.cells.setting, finding.category


def _gap(axes: Axes, row: int, finding: Finding, p_value: float, color: str) -> None:
    """A dot with its interval, hollow where there may be no gap."""
    interval = finding.interval
    is_sure = p_value < 0.05 and (interval.low > 0 or interval.high < 0)
    axes.plot([interval.low, interval.high], [row, row], color=color, lw=1.5)
    axes.plot(finding.gap.mean, row, "o", color=color, mfc=color if is_sure else "white", ms=4.5)


def curves_figure(cells: Sequence[Cells], run: Run) -> Figure:
    """Losses, the gap and accuracies over epochs: a row of panels per setting, or of some."""
    settings = by_setting(cells)
    titles = spread(list(settings))
    names = [name for panel, _ in _PANELS for name in panel.values()]
    curves = {title: mean_curves(settings[title], run, names) for title in titles}
    last = max(epoch for own in curves.values() for curve in own.values() for epoch in curve)
    with figure(11.0, 0.7 + 2.9 * len(titles)) as drawn:
        rows = drawn.subplots(len(titles), len(_PANELS), squeeze=False, sharex=True, sharey="col")
        for title, row in zip(titles, rows, strict=True):
            row[0].set_title(title, loc="left", fontsize=10)
            _row(list(row), curves[title], settings[title])
        for axes in (rows[0][0], rows[0][-1]):
            axes.legend(fontsize=8)
        for axes in rows[-1]:
            axes.set(xlabel="epoch", xlim=(0, max(1, last)))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    return drawn


def _row(
    row: Sequence[Axes], curves: Mapping[str, Mapping[int, Summary]], cells: Sequence[Cells]
) -> None:
    """The panels of one setting."""
    for axes, (panel, label) in zip(row, _PANELS, strict=True):
        axes.grid(color="#eceff3")
        axes.set_axisbelow(True)
        axes.set_ylabel(label)
        for title, name in panel.items():
            if curves[name]:
                _draw(axes, curves[name], title)
    _, gap, accuracy = row
    gap.axhline(0, color="black", lw=0.8)
    for name, title, style in _CHANCES:
        levels = [result[name] for each in cells for result in each.results]
        accuracy.axhline(sum(levels) / len(levels), color="black", lw=1, ls=style, label=title)
    accuracy.set_ylim(-0.02, 1.02)


def _draw(axes: Axes, curve: Mapping[int, Summary], title: str) -> None:
    """Means with a band of one standard error, where there are several seeds."""
    epochs, means, color = list(curve), [point.mean for point in curve.values()], _COLORS[title]
    axes.plot(epochs, means, "o-", color=color, ms=3, label=title, clip_on=False)
    if all(point.n > 1 for point in curve.values()):
        low = [point.mean - point.standard_error for point in curve.values()]
        high = [point.mean + point.standard_error for point in curve.values()]
        axes.fill_between(epochs, low, high, color=color, alpha=0.2, lw=0)
