"""Excess against the bound over many alphas: what goes with what, where nothing is matched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lrray.reports.content import Picture, Row, Section, Table
from lrray.reports.grid.figures import lay_out, size
from lrray.reports.style import COLORS, figure
from lrray.reports.train.comparisons import METRIC, place_of
from lrray.results.groups import Group, varying

ALPHAS = ("alpha_X", "alpha_Z")

FEWEST = 5
"""Settings of which a correlation says something."""

_AGAINST = {
    "bound": "exact bound [bits/token]",
    "deficit": "n-gram deficit: trigram − bound [bits/token]",
    "place": "log(alpha_X / alpha_Z): right is easy to predict",
}


def scatter_answer(groups: list[Group]) -> list[str]:
    """The rank correlations of excess with what may explain it."""
    points = _points(groups)
    if len(points) < FEWEST:
        return []
    told = "; ".join(
        f"{_AGAINST[name]} {rho:+.2f} (p = {p:.2g})" for name, rho, p in _ranks(points)
    )
    return [f"Rank correlations of excess loss over {len(points)} settings: {told}."]


def scatter_section(groups: list[Group]) -> list[Section]:
    """The scatter and its correlations; nothing where alphas do not vary over enough settings."""
    points = _points(groups)
    if len(points) < FEWEST:
        return []
    rows: list[Row] = [
        {"excess with": _AGAINST[name], "Spearman's rho": float(rho), "p": float(p)}
        for name, rho, p in _ranks(points)
    ]
    caption = f"Rank correlations of excess loss over {len(points)} settings, means over seeds"
    text = (
        "Settings are not matched here: what correlates with excess may stand for something else "
        "that varies with it. A matched ladder separates them."
    )
    picture = Picture(
        "excess_vs_bound", "Excess loss over what may explain it, a dot for each setting: mean "
        "over seeds, whiskers one standard error.", lambda: scatter_figure(points),
    )  # fmt: skip
    return [Section("Excess against the bound", text, (Table("correlations", caption, rows),),
                    (picture,))]  # fmt: skip


Point = dict[str, float]
"""Means of a setting by name; ``error`` is that of the excess."""


def _points(groups: list[Group]) -> list[Point]:
    if not set(ALPHAS) & set(varying(groups)):
        return []
    points = []
    for group in groups:
        excess, bound = group.summary(METRIC), group.summary("bound_bits")
        trigram, place = group.summary("trigram_bits"), place_of(group)
        if excess is not None and bound is not None and trigram is not None and place is not None:
            points.append({
                "excess": excess.mean, "error": float(np.nan_to_num(excess.standard_error)),
                "bound": bound.mean, "deficit": trigram.mean - bound.mean, "place": place,
            })  # fmt: skip
    return points


def _ranks(points: Sequence[Point]) -> list[tuple[str, float, float]]:
    """Name, Spearman's rho and its p; those left out that do not vary."""
    excess = [point["excess"] for point in points]
    found = []
    for name in _AGAINST:
        values = [point[name] for point in points]
        if np.ptp(values) > 0 and np.ptp(excess) > 0:
            from scipy import stats  # takes long to load, and most reports do without

            rho, p = stats.spearmanr(values, excess)
            found.append((name, float(rho), float(p)))
    return found


def scatter_figure(points: Sequence[Point]) -> Figure:
    """Excess over each of the three, coloured by the place between the two kinds."""
    places = np.array([point["place"] for point in points])
    with figure(*size(len(_AGAINST))) as drawn:
        for axes, (name, meaning) in zip(
            lay_out(drawn, [""] * len(_AGAINST)), _AGAINST.items(), strict=True
        ):
            x, y = [p[name] for p in points], [p["excess"] for p in points]
            axes.errorbar(x, y, [p["error"] for p in points], fmt="none", ecolor=COLORS[-1], lw=0.8)
            axes.scatter(x, y, c=places, cmap="cividis", s=28, zorder=3)
            axes.set_ylim(bottom=0)
            axes.set(xlabel=meaning, ylabel="excess loss [bits/token]")
            axes.xaxis.label.set_fontsize(8)
    return drawn
