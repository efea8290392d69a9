"""Progress as Ray metrics: gauges on the cluster's Prometheus endpoints and its dashboard.

Ray prefixes names with ``ray_``: ``ray_lrray_cells{study, state}`` comes from the driver,
``ray_lrray_cell_metric{study, cell, name}`` from the worker that runs the cell.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lrray.periodic import Rhythm

REFRESH_S = 5.0
"""Ray drops a gauge that was not set for some 20 s; a cell may log less often than that."""


@dataclass
class _Gauge:
    """One gauge that stays on the endpoint until its values are forgotten."""

    name: str
    description: str
    tag_names: tuple[str, ...]
    _values: dict[tuple[str, ...], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _exported: Any = None

    def set(self, tags: tuple[str, ...], value: float) -> None:
        """Exports a value from now on."""
        with self._lock:
            self._values[tags] = value
            if self._exported is None:
                from ray.util.metrics import Gauge

                self._exported = Gauge(self.name, self.description, self.tag_names)
                Rhythm(self._refresh, REFRESH_S).start()
            self._export(tags, value)

    def forget(self, tags: tuple[str, ...]) -> None:
        """Lets all values go whose tags begin so."""
        with self._lock:
            for known in [known for known in self._values if known[: len(tags)] == tags]:
                del self._values[known]

    def _export(self, tags: tuple[str, ...], value: float) -> None:
        self._exported.set(value, dict(zip(self.tag_names, tags, strict=True)))

    def _refresh(self) -> None:
        with self._lock:
            for tags, value in self._values.items():
                self._export(tags, value)


_CELLS = _Gauge("lrray_cells", "Cells of a study by state", ("study", "state"))
_POINTS = _Gauge("lrray_cell_metric", "Newest curve point", ("study", "cell", "name"))


def show_counts(study: str, counts: Mapping[str, int]) -> None:
    """Exports how many cells are in each state."""
    for state, count in counts.items():
        _CELLS.set((study, state), count)


def show_point(study: str, cell: str, point: Mapping[str, Any]) -> None:
    """Exports the newest point of a cell's curves."""
    for name, value in point.items():
        if isinstance(value, int | float):
            _POINTS.set((study, cell, name), float(value))


def forget_points(study: str, cell: str) -> None:
    """Lets the points of a cell go that has ended."""
    _POINTS.forget((study, cell))
