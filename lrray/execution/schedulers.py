"""Tune's schedulers, which stop bad trials of a search early."""

from __future__ import annotations

from typing import Any

from lrray.studies.schema import CellSearch, Search


def make_scheduler(search: Search | None) -> Any:
    """Tune's scheduler that a search asks for; a grid's cells are all needed whole."""
    if not isinstance(search, CellSearch) or search.scheduler == "none":
        return None
    from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule

    judged: dict[str, Any] = {"time_attr": "step", "metric": search.metric, "mode": search.mode}
    if search.scheduler == "asha":
        # A trial that reaches the last step is whole: stopping there would lose its result.
        return AsyncHyperBandScheduler(**judged, max_t=search.max_step + 1)
    return MedianStoppingRule(**judged, grace_period=max(1, search.max_step // 10))
