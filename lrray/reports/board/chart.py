"""ECharts' description of learning curves."""

from __future__ import annotations

from typing import Any

from lrray.reports.board.lines import Curve, Line, View

COLORS = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#777777",
    "#8C510A", "#5E3C99", "#1B7837", "#B2182B", "#053061",
]  # fmt: skip
_DASHES = ("solid", "dashed", "dotted")
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
    """The line, and where it has a band, two lines stacked on each other with the space filled."""
    drawn: dict[str, Any] = {
        "type": "line", "name": line.name, "showSymbol": len(line.points) < 3, "color": color,
        "data": _data(line.points, log), "lineStyle": {"width": 1.8, "type": dash},
    }  # fmt: skip
    if line.band is None or (log and any(y <= 0 for _, y in line.band[0])):
        return [drawn]
    low, high = line.band
    height = [(x, top - bottom) for (x, bottom), (_, top) in zip(low, high, strict=True)]
    hidden = {
        "type": "line", "stack": line.name, "stackStrategy": "all", "symbol": "none",
        "silent": True, "lineStyle": {"opacity": 0}, "tooltip": {"show": False}, "color": color,
    }  # fmt: skip
    if log:  # stacked values cannot be added on a logarithmic axis: the edges are drawn instead
        edge = {**hidden, "lineStyle": {"width": 0.7, "type": dash, "opacity": 0.6}}
        del edge["stack"], edge["stackStrategy"]
        names = (f"{line.name} − se", f"{line.name} + se")
        edges = [
            {**edge, "name": name, "data": _data(part, log)}
            for name, part in zip(names, line.band, strict=True)
        ]
        return [drawn, *edges]
    return [
        drawn,
        {**hidden, "name": f"{line.name} − se", "data": _data(low, log)},
        {
            **hidden, "name": f"{line.name} ± se", "data": _data(height, log),
            "areaStyle": {"color": color, "opacity": 0.16},
        },
    ]  # fmt: skip


def _data(curve: Curve, log: bool) -> list[list[float]]:
    return [[x, y] for x, y in curve if y > 0 or not log]
