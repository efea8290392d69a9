"""One number of a run as a figure for a notebook, in the style of the reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lrray.reports.grid.figures import band, scale
from lrray.reports.style import ALONE, COLORS, in_style
from lrray.results.frames import RunFrames
from lrray.results.groups import mean_curve
from lrray.results.tables import SEED
from lrray.studies.axes import axes_label, axis_name

STEP = "step"


def plot(run: RunFrames, name: str, x: str, hue: str | None, axes: Axes | None) -> Axes:
    """Draws means over seeds with one standard error; see :meth:`lrray.api.Run.plot`."""
    hue = None if hue is None else run.axis(hue)
    with in_style():
        if x == STEP:
            curves = run.curves(name)
            axes = axes or _new_axes()
            _curves(axes, curves, [hue] if hue else _varying(curves))
        else:
            x = run.axis(x)
            table = run.means(name, [*([hue] if hue else []), x])
            axes = axes or _new_axes()
            _means(axes, table, x, hue)
        axes.grid(color="#eceff3")
        axes.set_axisbelow(True)
        axes.set(xlabel=axis_name(x), ylabel=name)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=8)
    return axes


def _new_axes() -> Axes:
    # A figure of pyplot's is one that a notebook shows by itself.
    import matplotlib.pyplot as plt

    axes: Axes = plt.subplots(figsize=ALONE)[1]
    return axes


def _varying(curves: pd.DataFrame) -> list[str]:
    """The axes that tell lines apart, the seed aside."""
    own = ("id", STEP, "tokens", "time", "value", SEED)
    axes = [name for name in curves.columns if name not in own]
    return [name for name in axes if curves[name].map(str).nunique() > 1]


def _lines(table: pd.DataFrame, by: list[str]) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Label, colour and rows of every line."""
    if not by:
        yield "all cells", COLORS[0], table
        return
    labels = [axes_label(dict(zip(by, row, strict=True))) for row in table[by].to_numpy()]
    for i, (label, own) in enumerate(table.groupby(np.array(labels), sort=False)):
        yield str(label), COLORS[i % len(COLORS)], own


def _curves(axes: Axes, curves: pd.DataFrame, by: list[str]) -> None:
    for label, color, own in _lines(curves, by):
        curve = mean_curve(_by_seed(own.dropna(subset="value")))
        if curve is not None:
            band(axes, curve, label, color)


Curve = list[tuple[float, float]]


def _by_seed(table: pd.DataFrame) -> list[Curve]:
    """A curve per seed: the mean of its cells', of the seeds that have most of them."""
    seeds: dict[Any, list[Curve]] = {}
    for cell_id, own in table.groupby("id", sort=False):
        seed = own[SEED].iloc[0] if SEED in own else cell_id
        points = zip(own[STEP].astype(float), own["value"], strict=True)
        seeds.setdefault(_plain(seed), []).append(list(points))
    most = max(map(len, seeds.values()), default=0)
    means = [mean_curve(cells) for cells in seeds.values() if len(cells) == most]
    return [list(zip(c.steps.tolist(), c.mean.tolist(), strict=True)) for c in means if c]


def _means(axes: Axes, table: pd.DataFrame, x: str, hue: str | None) -> None:
    values: list[Any] = list(dict.fromkeys(table[x].map(_plain)))
    numeric = all(isinstance(value, int | float) for value in values)
    position = {value: value if numeric else i for i, value in enumerate(values)}
    for label, color, own in _lines(table, [hue] if hue else []):
        rows = own.assign(_x=own[x].map(_plain).map(position)).sort_values("_x")
        axes.errorbar(
            rows["_x"], rows["mean"], rows["se"].fillna(0), marker="o", ms=4.5, capsize=2.5,
            lw=1.5 if numeric else 0, elinewidth=1.5, color=color, label=label if hue else None,
        )  # fmt: skip
    if numeric:
        scale(axes, sorted(values))
    else:
        axes.set_xticks(range(len(values)), [str(value) for value in values])


def _plain(value: Any) -> Any:
    """A value of an axis that can be a key: numbers as they are, all else as text."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, int | float | str) else str(value)
