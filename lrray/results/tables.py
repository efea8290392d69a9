"""Records of cells as data frames."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from lrray.results.record import DONE, CellRecord
from lrray.statistics import summarize


def cell_table(records: Sequence[CellRecord]) -> pd.DataFrame:
    """One row per cell: id, state, axes, the plain numbers of its result, seconds."""
    rows = [
        {
            "id": record.id,
            "state": record.state,
            **record.axes,
            **{k: v for k, v in record.result.items() if isinstance(v, int | float | str)},
            "seconds": record.seconds,
        }
        for record in records
    ]
    return pd.DataFrame(rows, columns=None if rows else ["id", "state", "seconds"])


def aggregate(table: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Mean and standard error over seeds of every number, by the axes other than ``seed``.

    Args:
        table: as :func:`cell_table` makes it.
        axes: names of the columns that tell cells apart.
    """
    done = table[table["state"] == DONE] if len(table) else table
    by = [name for name in axes if name in done.columns and name != "seed"]
    own = {*axes, "id", "state", "seconds", "num_seeds"}
    found = [c for c in done.select_dtypes("number").columns if c not in own]
    # A cell's own error of a number tells of its held-out set, not of the spread over seeds.
    numbers = [c for c in found if not (c.endswith("_se") and c.removesuffix("_se") in found)]
    if "seed" not in axes or not len(done):
        return done[[c for c in done.columns if c not in ("id", "state", "seconds")]]
    rows = []
    for _, group in done.groupby(_texts(done[by]), sort=False) if by else [("", done)]:
        row = {**{name: group[name].iloc[0] for name in by}, "seeds": len(group)}
        for name in numbers:
            statistics = summarize(group[name])
            row[name], row[f"{name}_se"] = statistics.mean, statistics.standard_error
        rows.append(row)
    return pd.DataFrame(rows)


def _texts(axes: pd.DataFrame) -> list[str]:
    """The axes of every row as text: they may hold lists, by which pandas cannot group."""
    return [json.dumps(row, default=str) for row in axes.to_dict("records")]
