"""Whether a training study's losses can be right: none can be below the exact bound."""

from __future__ import annotations

from lrray.reports.train.comparisons import METRIC
from lrray.results.groups import Group, label

MAX_BELOW = 3
"""Standard errors below the bound at which a cell is held to be wrong."""

MAX_TOLD = 4
"""Cells that are named."""


def bound_check(groups: list[Group]) -> str:
    """Whether any model seems to beat the bound, which none can."""
    scores = [
        (record.result[METRIC] / record.result[f"{METRIC}_se"], label(record.axes))
        for group in groups
        for record in group.records
        if METRIC in record.result and record.result.get(f"{METRIC}_se")
    ]
    if not scores:
        return ""
    lowest, _ = min(scores)
    where = "above" if lowest >= 0 else "below"
    told = (
        f"The lowest excess of {len(scores)} cells lies {abs(lowest):.1f} of its own standard "
        f"errors {where} 0; no model can be below the bound but by chance."
    )
    below = [f"{name} ({score:.1f})" for score, name in scores if score < -MAX_BELOW]
    if not below:
        return told
    more = f" and {len(below) - MAX_TOLD} more" if len(below) > MAX_TOLD else ""
    return (
        f"Warning: {_cells(len(below))} more than {MAX_BELOW} standard errors below the bound: "
        f"{', '.join(below[:MAX_TOLD])}{more}. That is no chance: the held-out set is too small, "
        f"or something is wrong with these losses or their bound. {told}"
    )


def _cells(count: int) -> str:
    return "1 cell lies" if count == 1 else f"{count} cells lie"
