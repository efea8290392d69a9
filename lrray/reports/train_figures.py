"""Bars of bits per token: the bound, the model, the compressors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lrray.reports.groups import Group, label, varying
from lrray.reports.style import COLORS, figure

MAX_GROUPS = 12


def bars_figure(groups: list[Group], names: Sequence[str]) -> Figure:
    """A cluster of bars per group, one bar per number, whiskers of one standard error."""
    shown, axes_names = groups[:MAX_GROUPS], varying(groups)
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
                label=name.removesuffix("_bits"), error_kw={"lw": 1},
            )  # fmt: skip
        labels = [
            label({k: v for k, v in g.axes.items() if k in axes_names}).replace(" ", "\n")
            for g in shown
        ]
        axes.set_xticks(range(len(shown)), labels, fontsize=8)
        axes.set(ylabel="bits per token")
        axes.legend(fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.16))
    return drawn
