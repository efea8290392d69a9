"""The values of one axis of a run against each other, over cells that agree in all other axes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from lrray.errors import LrrayError, did_you_mean
from lrray.reports.compare.comparison import (
    PAIRED,
    Comparison,
    newest_of,
    numbers_by_axes,
    paired_rows,
)
from lrray.results.groups import in_order
from lrray.results.record import DONE
from lrray.results.run import Run
from lrray.studies.axes import axes_named, axis_name
from lrray.text import short


def compare_by(source: str, axis: str) -> Comparison:
    """Compares the values of one axis of a run: cells that agree in all other axes, pair by pair.

    Every value is subtracted from every later one in the axis' order; p values are corrected over
    all of them, for each number by itself.

    Args:
        source: a run's results folder, or a study's: its newest run.
        axis: its name, or the last part of it.

    Raises:
        LrrayError: there is no such axis, or no two cells differ in it alone.
    """
    run = Run(Path(newest_of(source)))
    done = [record for record in run.wanted_records() if record.state == DONE]
    known = list(dict.fromkeys(name for record in done for name in record.axes))
    axis = _one_axis(axis, known)
    values = {json.dumps(r.axes[axis]): r.axes[axis] for r in done if axis in r.axes}
    tables = {
        f"{axis_name(axis)}={short(value)}": numbers_by_axes(
            [r for r in done if axis in r.axes and json.dumps(r.axes[axis]) == key],
            without={axis, *run.tuned},
        )
        for key, value in sorted(values.items(), key=lambda item: in_order({axis: item[1]}, [axis]))
    }
    numbers = dict.fromkeys(number for table in tables.values() for number in table)
    rows = [row for number in numbers for row in _all_pairs(str(number), tables)]
    if not rows:
        raise LrrayError(
            f"--by {axis}", "no two finished cells differ in this axis alone", got=list(tables),
            fix="name an axis with several values that all other axes are repeated for",
        )  # fmt: skip
    empty = pd.DataFrame()
    return Comparison(empty, empty, empty, pd.DataFrame(rows, columns=PAIRED))


def _one_axis(axis: str, known: list[str]) -> str:
    found = axes_named(axis, known)
    if len(found) != 1:
        raise LrrayError("--by", "must name an axis", got=axis, fix=did_you_mean(axis, known))
    return found[0]


def _all_pairs(number: str, tables: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Each later value minus each earlier one, corrected together."""
    own = {name: table[number] for name, table in tables.items() if number in table}
    pairs = [(late, early) for early, late in combinations(own, 2)]
    return paired_rows(number, own, pairs)
