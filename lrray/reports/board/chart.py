"""ECharts' description of learning curves."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from lrray.reports.board.lines import Curve, Line, View

COLORS = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#777777",
    "#8C510A", "#5E3C99", "#1B7837", "#B2182B", "#053061",
]  # fmt: skip
_DASHES = ("solid", "dashed", "dotted")
# ECharts stacks lines over a numeric axis along that axis, so a band is drawn piece by piece.
_QUADRANGLE = """(params, api) => ({
  type: 'polygon',
  shape: {points: [[0, 1], [0, 2], [3, 5], [3, 4]].map(
    ([x, y]) => api.coord([api.value(x), api.value(y)]))},
  style: {fill: api.visual('color'), opacity: 0.18},
})"""
_GREY = {"axisLine": {"lineStyle": {"color": "#8593a1"}}, "axisLabel": {"color": "#7b8997"}}
"""Readable on a light page and on a dark one."""


def options(lines: list[Line], view: View, log: bool) -> dict[str, Any]:
    """The picture; on a logarithmic scale (``log``) without what is not positive."""
    axis = {
        "nameTextStyle": {"color": "#7b8997"}, "splitLine": {"lineStyle": {"color": "#8593a133"}},
        **_GREY,
    }  # fmt: skip
    x_axis = {"type": "value", "name": view.over, "nameLocation": "middle", "nameGap": 28, "min": 0}
    return {
        "animation": False,
        "backgroundColor": "transparent",
        "aria": {"enabled": True},
        "grid": {"left": 64, "right": 22, "top": 70, "bottom": 64},
        "legend": {
            "show": len(lines) > 1, "type": "scroll", "top": 4, "itemWidth": 22, "itemHeight": 14,
            "textStyle": {"color": "#7b8997"}, "data": [line.name for line in lines],
        },
        "tooltip": {"trigger": "axis", "confine": True, "order": "valueAsc"},
        "toolbox": {
            "right": 0, "bottom": 0,
            "feature": {
                "dataZoom": {"title": {"zoom": "zoom", "back": "back"}},
                "restore": {"title": "reset"},
                "saveAsImage": {"title": "save", "name": view.metric},
            },
        },
        "dataZoom": [{"type": "inside"}],
        "xAxis": {**x_axis, **axis},
        "yAxis": {"type": "log" if log else "value", "name": view.metric, "scale": True, **axis},
        "series": [part for line in _colored(lines) for part in _series(*line, log)],
    }  # fmt: skip


def _colored(lines: list[Line]) -> list[tuple[Line, str, str]]:
    """Each line with its colour and dash: lines of one colour differ in their dash."""
    colors: dict[str, str] = {}
    seen: dict[str, int] = {}
    styled = []
    for line in lines:
        color = colors.setdefault(line.hue, COLORS[len(colors) % len(COLORS)])
        dash = _DASHES[seen.get(line.hue, 0) % len(_DASHES)]
        seen[line.hue] = seen.get(line.hue, 0) + 1
        styled.append((line, color, dash))
    return styled


def _series(line: Line, color: str, dash: str, log: bool) -> list[dict[str, Any]]:
    """The line, and where it has one, its band."""
    drawn: dict[str, Any] = {
        "type": "line", "name": line.name, "showSymbol": len(line.points) < 3, "color": color,
        "data": _data(line.points, log), "lineStyle": {"width": 1.8, "type": dash},
    }  # fmt: skip
    if line.band is None:
        return [drawn]
    edges = [
        (x, low, high) for (x, low), (_, high) in zip(*line.band, strict=True) if low > 0 or not log
    ]
    band = {
        "type": "custom", "name": f"{line.name} ± se", "color": color, "silent": True,
        "clip": True, "tooltip": {"show": False}, "encode": {"x": [0, 3], "y": [1, 2, 4, 5]},
        "data": [[*here, *there] for here, there in pairwise(edges)], ":renderItem": _QUADRANGLE,
    }  # fmt: skip
    return [drawn, band]


def _data(curve: Curve, log: bool) -> list[list[float]]:
    return [[x, y] for x, y in curve if y > 0 or not log]
