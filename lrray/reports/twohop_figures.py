"""Figures of a two-hop study."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lrray.reports.run import Run
from lrray.reports.style import COLORS, figure
from lrray.reports.twohop_numbers import Cells, Finding, mean_curve
from lrray.statistics import Summary

_LOSSES = {
    "true answers": "eval/2hop_nocot_loss",
    "shuffled answers": "eval/2hop_nocot_shuffled_loss",
}
_ACCURACIES = {
    "first hop (acc_a)": "acc_a",
    "both hops, reasoning": "acc_2hop_cot",
    "both hops, at once": "acc_2hop_nocot",
}

_CHANCES = (
    ("commonest_2hop", "always the commonest", "--"),
    ("chance_2hop", "another person's", ":"),
)


def gaps_figure(findings: Sequence[Finding]) -> Figure:
    """Every attribute's gap, those of a setting and a category together."""
    ordered = sorted(findings, key=lambda f: (f.cells.setting, f.category, f.gap.mean))
    categories = sorted({finding.category for finding in ordered})
    with figure(7.0, 1.2 + 0.2 * len(ordered)) as drawn:
        axes = drawn.subplots()
        axes.axvline(0, color="black", lw=0.8)
        for row, finding in enumerate(ordered):
            color = COLORS[categories.index(finding.category) % len(COLORS)]
            gap = finding.gap
            if gap.n > 1:
                axes.plot([gap.low, gap.high], [row, row], color=color, lw=1.5)
            axes.plot(gap.mean, row, "o", color=color, ms=4)
        names = [
            f"{f.category}: {f.cells.dataset} {f.attribute} {f.cells.setting}".rstrip()
            for f in ordered
        ]
        axes.set_yticks(range(len(ordered)), names, fontsize=7)
        axes.set_xlabel("gap: shuffled minus true loss [nats/token]")
    return drawn


def curves_figure(cells: Sequence[Cells], run: Run) -> Figure:
    """Losses of true and shuffled answers, and accuracies, over epochs."""
    with figure(9.0, 3.6) as drawn:
        left, right = drawn.subplots(1, 2)
        _draw(left, {title: mean_curve(cells, run, name) for title, name in _LOSSES.items()})
        left.set(xlabel="epoch", ylabel="answer loss [nats/token]")
        _draw(right, {title: mean_curve(cells, run, name) for title, name in _ACCURACIES.items()})
        for name, title, style in _CHANCES:
            levels = [result[name] for each in cells for result in each.results]
            right.axhline(sum(levels) / len(levels), color="black", lw=1, ls=style, label=title)
        right.set(xlabel="epoch", ylabel="accuracy", ylim=(-0.02, 1.02))
        for axes in (left, right):
            axes.legend(fontsize=8)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return drawn


def _draw(axes: Axes, curves: dict[str, dict[int, Summary]]) -> None:
    for (title, curve), color in zip(curves.items(), COLORS, strict=False):
        steps, means = list(curve), [point.mean for point in curve.values()]
        axes.plot(steps, means, "o-", color=color, ms=3, label=title)
        if all(point.n > 1 for point in curve.values()):
            errors = [point.standard_error for point in curve.values()]
            low = [mean - error for mean, error in zip(means, errors, strict=True)]
            high = [mean + error for mean, error in zip(means, errors, strict=True)]
            axes.fill_between(steps, low, high, color=color, alpha=0.2, lw=0)
