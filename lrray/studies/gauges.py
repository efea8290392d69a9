"""Progress as Ray metrics: gauges on the cluster's Prometheus endpoints and its dashboard.

Ray prefixes names with ``ray_``: ``ray_lrray_cells{study, state}`` comes from the driver,
``ray_lrray_cell_metric{study, cell, name}`` from the worker that runs the cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any


@cache
def _gauge(name: str, description: str, tags: tuple[str, ...]) -> Any:
    from ray.util.metrics import Gauge

    return Gauge(name, description=description, tag_keys=tags)


def show_counts(study: str, counts: Mapping[str, int]) -> None:
    """Exports how many cells are in each state."""
    gauge = _gauge("lrray_cells", "Cells of a study by state", ("study", "state"))
    for state, count in counts.items():
        gauge.set(count, {"study": study, "state": state})


def show_point(study: str, cell: str, point: Mapping[str, Any]) -> None:
    """Exports the newest point of a cell's curves."""
    gauge = _gauge("lrray_cell_metric", "Newest curve point", ("study", "cell", "name"))
    for name, value in point.items():
        if isinstance(value, int | float):
            gauge.set(float(value), {"study": study, "cell": cell, "name": name})
