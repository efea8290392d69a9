"""Learning curves of chosen cells, drawn while they grow."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from lrray.reports.board.live import LiveRun
from lrray.results.curves import thin
from lrray.results.groups import by_interest, label

MOST_CURVES = 12
"""Curves drawn at once."""

COLORS = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555",
    "#8C510A", "#5E3C99", "#1B7837", "#B2182B", "#053061",
]  # fmt: skip


class CurvesCard:
    """One metric over steps, a line per chosen cell; hidden where no cell logged any."""

    def __init__(self, live: LiveRun) -> None:
        self._live = live
        self._chosen: list[str] = []
        with ui.element("div").classes("card") as self._card:
            with ui.row().classes("tools w-full"):
                ui.label("Learning curves").classes("card-title")
                self._metric = ui.select([], on_change=self.update).props("dense outlined")
                self._log = ui.switch("log scale", on_change=self.update).props("dense")
            self._note = ui.label().classes("muted")
            self._chart = ui.echart(_options([], "", False)).style("height: 400px")
        self._drawn: dict[str, Any] = {}

    def choose(self, cell_ids: list[str]) -> None:
        """Draws these cells; none stands for the first few that have curves."""
        self._chosen = cell_ids
        self.update()

    def update(self) -> None:
        """Draws what the files hold now, if that is anything new."""
        ids = self._live.curves.ids()
        self._card.visible = bool(ids)
        if not ids:
            return
        chosen = [cell_id for cell_id in self._chosen if cell_id in ids]
        shown = (chosen or ids)[:MOST_CURVES]
        files = {cell_id: self._live.curves.of(cell_id) for cell_id in shown}
        self._offer([name for file in files.values() if file for name in file.names])
        metric = str(self._metric.value or "")
        labels = self._labels(shown)
        series = [
            {"name": labels[cell_id], "points": thin(file.curve(metric))}
            for cell_id, file in files.items()
            if file is not None
        ]
        self._note.text = _note(len(shown), len(ids), len(self._chosen), len(chosen))
        drawn = {"series": series, "metric": metric, "log": bool(self._log.value)}
        if drawn != self._drawn:
            self._drawn = drawn
            self._chart.options.clear()
            self._chart.options.update(_options(series, metric, bool(self._log.value)))
            self._chart.update()

    def _offer(self, names: list[str]) -> None:
        options = by_interest(names, self._live.index.columns)
        if options != self._metric.options:
            kept = self._metric.value if self._metric.value in options else None
            self._metric.set_options(options, value=kept or (options[0] if options else None))

    def _labels(self, cell_ids: list[str]) -> dict[str, str]:
        """Names of lines: the axes in which these cells differ."""
        rows = {cell_id: self._live.index.row(cell_id) or {} for cell_id in cell_ids}
        differ = [
            axis
            for axis in self._live.index.axes
            if len({row.get(axis) for row in rows.values()}) > 1
        ]
        named = {
            cell_id: label({axis: row[axis] for axis in differ if row.get(axis) is not None})
            for cell_id, row in rows.items()
            if any(row.get(axis) is not None for axis in differ)
        }
        return {cell_id: named.get(cell_id, cell_id[:8]) for cell_id in cell_ids}


def _note(shown: int, available: int, asked: int, found: int) -> str:
    if not asked:
        return f"{shown} of {available} cells with curves; tick cells in the table to choose others"
    if not found:
        return f"The chosen cells logged no curves: {shown} others are shown"
    cells = "cell" if shown == 1 else "cells"
    return f"{shown} chosen {cells}" + (f", the first of {found}" if found > shown else "")


def _options(series: list[dict[str, Any]], metric: str, log: bool) -> dict[str, Any]:
    """ECharts' description of the picture."""
    axis = {"nameTextStyle": {"color": "#4d5b6a"}, "splitLine": {"lineStyle": {"color": "#eceff3"}}}
    return {
        "animation": False,
        "color": COLORS,
        "grid": {"left": 64, "right": 22, "top": 70, "bottom": 48},
        "legend": {"type": "scroll", "top": 4, "itemWidth": 16, "itemHeight": 14},
        "tooltip": {"trigger": "axis", "confine": True, "order": "valueAsc"},
        "toolbox": {"right": 0, "bottom": 0, "feature": {"saveAsImage": {"name": metric}}},
        "dataZoom": [{"type": "inside"}],
        "xAxis": {
            "type": "value", "name": "step", "nameLocation": "middle", "nameGap": 28, "min": 0,
            **axis,
        },
        "yAxis": {"type": "log" if log else "value", "name": metric, "scale": True, **axis},
        "series": [
            {
                "type": "line", "name": line["name"], "showSymbol": len(line["points"]) < 3,
                "data": [[step, value] for step, value in line["points"] if value > 0 or not log],
                "lineStyle": {"width": 1.8},
            }
            for line in series
        ],
    }  # fmt: skip
