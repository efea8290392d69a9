"""The figure of ``lrray compare``: what searches reached, by evaluations and by time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lrray.reports.compare.comparison import Comparison
from lrray.reports.style import COLORS, figure, save

_TIMES = 200
"""Points in time at which a series' searches are averaged."""


def draw(comparison: Comparison, folder: Path) -> Path:
    """Best so far against evaluations and seconds, and contour errors where there are any."""
    curves, errors = comparison.curves, comparison.contour_errors
    series = list(dict.fromkeys(curves["series"]))
    num_panels = 3 if errors["contour_error"].notna().any() else 2
    with figure(5.2 * num_panels, 4.2) as drawn:
        panels = drawn.subplots(1, num_panels)
        for name, color in zip(series, COLORS * len(series), strict=False):
            own = [part for _, part in curves[curves["series"] == name].groupby("match")]
            _band(panels[0], *_over_evaluations(own), name, color)
            _band(panels[1], *_over_seconds(own), name, color)
            if num_panels == 3:
                mine = errors[errors["series"] == name]
                table = mine.pivot(index="match", columns="evaluations", values="contour_error")
                _band(panels[2], table.columns.to_numpy(float), table.to_numpy(), name, color)
        word = "smallest" if comparison.goal == "minimize" else "largest"
        for axes, label in zip(panels, ("evaluations", "seconds of evaluation"), strict=False):
            axes.set(xlabel=label, ylabel=f"{word} {comparison.metric} so far")
            if (curves["best"] > 0).all():
                axes.set_yscale("log")
        if num_panels == 3:
            panels[2].set(xlabel="evaluations", ylabel="contour error [ln alpha]")
            panels[2].set_yscale("log")
        panels[0].legend(fontsize=8)
        panels[0].set_title("mean ± standard error over searches", loc="left", fontsize=9)
        return save(drawn, folder, "compare")


def _over_evaluations(
    parts: Iterable[pd.DataFrame],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Evaluations that all searches have ``[n]``, and each one's best by then ``[searches, n]``."""
    best = [part["best"].to_numpy(float) for part in parts]
    n = min(map(len, best))
    return np.arange(1.0, n + 1), np.array([values[:n] for values in best])


def _over_seconds(
    parts: Iterable[pd.DataFrame],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times ``[n]``, and each search's best by then ``[searches, n]``.

    From when all have a value until the first of them ends, so that a mean is over the same
    searches throughout and cannot get worse; empty where one begins after another's end.
    """
    known = [(part["seconds"].to_numpy(float), part["best"].to_numpy(float)) for part in parts]
    begin, end = max(at[0] for at, _ in known), min(at[-1] for at, _ in known)
    times = np.linspace(begin, end, _TIMES if begin <= end else 0)
    rows = [best[np.searchsorted(at, times, side="right") - 1] for at, best in known]
    return times, np.array(rows)


def _band(
    axes: Axes, x: NDArray[np.float64], rows: NDArray[np.float64], name: str, color: str
) -> None:
    """Mean over searches with its standard error, over those that have a value."""
    there = np.isfinite(rows)
    n = there.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(there, rows, 0).sum(axis=0) / n
        squares = np.where(there, (rows - mean) ** 2, 0).sum(axis=0)
        error = np.sqrt(squares / (n - 1) / n)
    axes.plot(x, mean, color=color, lw=1.6, label=name or "search")
    if len(rows) > 1:
        axes.fill_between(x, mean - error, mean + error, color=color, alpha=0.2, lw=0)
