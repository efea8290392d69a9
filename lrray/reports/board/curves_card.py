"""Learning curves of a run, drawn while they grow."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from lrray.reports.board.chart import options
from lrray.reports.board.lines import ABSCISSAE, STEP, View, chosen, lines
from lrray.reports.board.live import LiveRun
from lrray.results.curves import Point
from lrray.results.groups import by_interest
from lrray.studies.axes import axis_name

_FLOPS_PER_TOKEN = "flops_per_token"


class CurvesCard:
    """One metric, a line per cell or per setting; hidden where no cell logged any."""

    def __init__(self, live: LiveRun, only: str = "") -> None:
        self._live, self._only = live, only
        self._chosen: list[str] = [only] if only else []
        with ui.element("div").classes("card") as self._card:
            with ui.row().classes("tools w-full"):
                ui.label("Learning curves").classes("card-title")
                self._metric = self._select([], None, "metric")
                self._over = self._select(list(ABSCISSAE), STEP, "over")
                self._hue = self._select({"": "each line"}, "", "colour by")
                self._grouped = ui.switch("mean over seeds", value=True, on_change=self.update)
                self._grouped.props("dense")
                self._log = ui.switch("log scale", on_change=self.update).props("dense")
                ui.label("smoothing").classes("muted")
                self._smoothing = ui.slider(min=0, max=0.99, step=0.01, value=0)
                self._smoothing.props("dense aria-label=smoothing").style("width: 90px")
                self._smoothing.on_value_change(self.update)
            self._note = ui.label().classes("muted")
            self._chart = ui.echart(options([], View(""), False)).classes("chart")
        if only:
            for part in (self._hue, self._grouped):
                part.visible = False
        self._seen: list[Any] = []
        """What the chart was drawn from."""

    def _select(self, choices: Any, value: Any, name: str) -> ui.select:
        made = ui.select(choices, value=value, label=name, on_change=self.update)
        return made.props("dense outlined options-dense").classes("choice")

    def choose(self, cell_ids: list[str]) -> None:
        """Draws these cells; none stands for the first few that have curves."""
        self._chosen = cell_ids
        self.update()

    def update(self) -> None:
        """Draws what the files hold now, if that is anything new."""
        present = self._live.curves.ids()
        ids = [self._only] if self._only in present else [] if self._only else present
        self._card.visible = bool(ids)
        if not ids:
            return
        ticked = [cell_id for cell_id in self._chosen if cell_id in ids]
        index, grouped = self._live.index, bool(self._grouped.value) and not self._only
        axes = index.axes_of(ids)
        shown = chosen(ticked or ids, axes, grouped)
        files = {i: file for i in shown if (file := self._live.curves.of(i)) is not None}
        flops = {
            i: float(row[_FLOPS_PER_TOKEN])
            for i in shown
            if (row := index.row(i)) and isinstance(row.get(_FLOPS_PER_TOKEN), int | float)
        }
        counts = len(shown), len(ids), len(self._chosen), len(ticked)
        read = {i: file.num_read for i, file in files.items()}
        look = [self._asked(), counts, len(axes), read, flops]
        if look == self._seen:
            return
        points = {i: file.points for i, file in files.items()}
        self._offer(points, axes)
        self._seen = [self._asked(), *look[1:]]
        metric, over, hue, _, smoothing, log = self._asked()
        view = View(metric, over, grouped, hue, smoothing)
        drawn = lines(points, axes, view, flops)
        self._note.text = "" if self._only else _note(*counts)
        if not drawn and metric:
            self._note.text = f"no cell shown here has logged {metric} over {over}"
        self._chart.options.clear()
        self._chart.options.update(options(drawn, view, log))
        self._chart.update()

    def _asked(self) -> tuple[str, str, str, bool, float, bool]:
        """What the reader has chosen: metric, abscissa, hue, means, smoothing, scale."""
        return (
            str(self._metric.value or ""), str(self._over.value), str(self._hue.value or ""),
            bool(self._grouped.value), float(self._smoothing.value or 0.0), bool(self._log.value),
        )  # fmt: skip

    def _offer(self, points: dict[str, list[Point]], axes: dict[str, dict[str, Any]]) -> None:
        """Puts the metrics that these cells logged and the axes of the run to choice."""
        logged = dict.fromkeys(
            name
            for own in points.values()
            for point in own
            for name, value in point.items()
            if isinstance(value, int | float) and name != STEP
        )
        metrics = by_interest(logged, self._live.index.columns)
        if metrics != self._metric.options:
            kept = self._metric.value if self._metric.value in metrics else None
            self._metric.set_options(metrics, value=kept or (metrics[0] if metrics else None))
        names = dict.fromkeys(name for own in axes.values() for name in own)
        hues = {"": "each line", **{name: axis_name(name) for name in names}}
        if hues != self._hue.options:
            self._hue.set_options(hues, value=self._hue.value if self._hue.value in hues else "")


def _note(shown: int, available: int, asked: int, found: int) -> str:
    if not asked:
        return f"{shown} of {available} cells with curves; tick cells in the table to choose others"
    if not found:
        return f"The chosen cells logged no curves: {shown} others are shown"
    cells = "cell" if shown == 1 else "cells"
    return f"{shown} chosen {cells}" + (f", the first of {found}" if found > shown else "")
