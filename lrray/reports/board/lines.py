"""What the chart of learning curves draws: a line per cell, or one per setting with its band."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrray.results.curves import Point, curve_of, thin
from lrray.results.groups import in_order, label, mean_curve
from lrray.results.tables import SEED

STEP, TOKENS, SECONDS, FLOPS = "step", "tokens", "seconds", "FLOPs"
ABSCISSAE = (STEP, TOKENS, SECONDS, FLOPS)
"""What a curve can be drawn over."""

MOST_LINES = 12
"""Lines drawn at once."""

MOST_SEEDS = 20
"""Cells that one mean is taken over at most."""

Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """One line of the chart."""

    name: str
    hue: str
    """Lines of equal hue have one colour."""
    points: Curve
    band: tuple[Curve, Curve] | None = None
    """Mean minus and plus one standard error over seeds."""


@dataclass(frozen=True)
class View:
    """What is to be drawn, and how."""

    metric: str
    over: str = STEP
    grouped: bool = False
    """Whether cells that differ in their seed alone are one line."""
    hue: str = ""
    """Axis that gives lines their colour; empty: each has its own."""
    smoothing: float = 0.0
    """From 0, none, to below 1: the weight of what came before a point."""


def chosen(ids: Sequence[str], axes: Mapping[str, Mapping[str, Any]], grouped: bool) -> list[str]:
    """The first cells that the chart has room for.

    Args:
        ids: cells with curves, in the order wanted.
        axes: of each of them that is known.
        grouped: see :class:`View`.
    """
    if not grouped:
        return list(ids[:MOST_LINES])
    kept: dict[str, list[str]] = {}
    for cell_id in ids:
        own = kept.setdefault(_group(axes.get(cell_id, {})), [])
        if len(own) < MOST_SEEDS:
            own.append(cell_id)
    return [cell_id for own in list(kept.values())[:MOST_LINES] for cell_id in own]


def lines(
    points: Mapping[str, list[Point]],
    axes: Mapping[str, Mapping[str, Any]],
    view: View,
    flops_per_token: Mapping[str, float] | None = None,
) -> list[Line]:
    """The lines of a chart, in the order of the cells; those without the metric are left out.

    Args:
        points: logged by each cell.
        axes: of each cell that is known.
        view: what is to be drawn.
        flops_per_token: of the cells for which it is known; needed over FLOPs.
    """
    flops = flops_per_token or {}
    curves = {
        cell_id: _smoothed(_over(own, view, flops.get(cell_id)), view.smoothing)
        for cell_id, own in points.items()
    }
    drawn = [cell_id for cell_id, curve in curves.items() if curve]
    known = {cell_id: dict(axes.get(cell_id, {})) for cell_id in drawn}
    if not view.grouped:
        differ = _differing(known.values())
        return [
            Line(
                _name(known[cell_id], differ, cell_id),
                _hue(known[cell_id], view, cell_id),
                thin(curves[cell_id]),
            )
            for cell_id in drawn
        ]
    groups: dict[str, list[str]] = {}
    for cell_id in drawn:
        groups.setdefault(_group(known[cell_id]), []).append(cell_id)
    differ = [axis for axis in _differing(known.values()) if axis != SEED]
    ordered = sorted(groups.items(), key=lambda item: in_order(known[item[1][0]], differ))
    return [
        line
        for key, ids in ordered
        if (line := _mean_line(ids, curves, known[ids[0]], differ, view, key)) is not None
    ]


def _mean_line(
    ids: list[str],
    curves: Mapping[str, Curve],
    axes: dict[str, Any],
    differ: list[str],
    view: View,
    key: str,
) -> Line | None:
    mean = mean_curve([curves[cell_id] for cell_id in ids])
    if mean is None:
        return None
    middle = list(zip(mean.steps.tolist(), mean.mean.tolist(), strict=True))
    band: tuple[Curve, Curve] | None = None
    if mean.n > 1:
        steps = mean.steps.tolist()
        low = list(zip(steps, (mean.mean - mean.error).tolist(), strict=True))
        band = low, list(zip(steps, (mean.mean + mean.error).tolist(), strict=True))
    name = _name({k: v for k, v in axes.items() if k != SEED}, differ, "mean")
    return Line(f"{name} (n = {mean.n})", _hue(axes, view, key), middle, band)


def _over(points: list[Point], view: View, flops_per_token: float | None) -> Curve:
    """(x, value) of a cell's points; none where they have not what is to be drawn over."""
    curve = curve_of(points, view.metric)
    if view.over == STEP:
        return curve
    if view.over == SECONDS:
        clock = dict(curve_of(points, "time"))
        start = min(clock.values(), default=0.0)
        return [(clock[x] - start, y) for x, y in curve if x in clock]
    tokens = dict(curve_of(points, "tokens"))
    if view.over == FLOPS and flops_per_token is None:
        return []
    factor = 1.0 if flops_per_token is None or view.over == TOKENS else flops_per_token
    return [(tokens[x] * factor, y) for x, y in curve if x in tokens]


def _smoothed(curve: Curve, weight: float) -> Curve:
    """An exponential moving average over points, without the pull of its first value."""
    if not 0 < weight < 1:
        return curve
    total, norm, smooth = 0.0, 0.0, []
    for x, y in curve:
        total, norm = weight * total + (1 - weight) * y, weight * norm + (1 - weight)
        smooth.append((x, total / norm))
    return smooth


def _group(axes: Mapping[str, Any]) -> str:
    """What cells that differ in their seed alone have in common; asked for thousands of cells."""
    return repr(sorted((axis, repr(value)) for axis, value in axes.items() if axis != SEED))


def _differing(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Axes in which these cells differ."""
    own = list(rows)
    names = dict.fromkeys(name for row in own for name in row)
    return [name for name in names if len({str(row.get(name)) for row in own}) > 1]


def _name(axes: Mapping[str, Any], differ: list[str], otherwise: str) -> str:
    told = {axis: axes[axis] for axis in differ if axes.get(axis) is not None}
    return label(told) if told else otherwise[:8]


def _hue(axes: Mapping[str, Any], view: View, otherwise: str) -> str:
    return str(axes.get(view.hue)) if view.hue else otherwise
