"""Records of cells as data frames."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrray.results.curves import Point
from lrray.results.record import DONE, CellRecord

if TYPE_CHECKING:  # takes longer to load than most commands to run: see each function
    import pandas as pd

_OWN = ("id", "state", "seconds")
"""Columns of lrray's own in a table of cells."""

SEED = "seed"
"""Axis over which means are taken."""


def axes_of(records: Iterable[CellRecord]) -> list[str]:
    """Names of all axes, in the order met."""
    return list(dict.fromkeys(name for record in records for name in record.axes))


def cell_table(records: Sequence[CellRecord]) -> pd.DataFrame:
    """One row per cell: id, state, axes, the plain numbers of its result, seconds.

    A result whose name one of these has already stands under ``result.<name>``.
    """
    import pandas as pd

    taken = {*_OWN, *axes_of(records)}
    rows = [
        {
            "id": record.id,
            "state": record.state,
            **record.axes,
            **{
                column(name, taken): value
                for name, value in record.result.items()
                if isinstance(value, int | float | str)
            },
            "seconds": record.seconds,
        }
        for record in records
    ]
    return pd.DataFrame(rows, columns=None if rows else list(_OWN))


def column(name: str, taken: Container[str]) -> str:
    """The column of a result: its name, unless something of lrray's has that."""
    return f"result.{name}" if name in taken else name


def number_names(records: Iterable[CellRecord]) -> list[str]:
    """Names of the numbers that cells gave, in their order; their own errors and counts left out.

    A cell's error of a number tells of its held-out set, not of the spread over seeds.
    """
    names = dict.fromkeys(
        name
        for record in records
        for name, value in record.result.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    )
    errors = {f"{name}_se" for name in names}
    return [name for name in names if name != "num_seeds" and name not in errors]


def values_of(record: CellRecord, name: str) -> list[float]:
    """One number per seed: of a cell that repeats seeds each of them; none where it has none."""
    return [float(value) for value in _per_seed(record, name) if value is not None]


def _per_seed(record: CellRecord, name: str) -> list[float | None]:
    """Of a cell that repeats seeds, each one's number: what a function calls so is another's."""
    values = [record.result.get(name)]
    own = record.result.get("per_seed")
    if isinstance(seeds_of(record), list) and isinstance(own, dict):
        values = own.get(name, values)
    given = values if isinstance(values, list) else []
    return [value if isinstance(value, int | float) else None for value in given]


def seeds_of(record: CellRecord) -> Any:
    """The seed of a cell, or the list of those that it repeats."""
    return record.settings.get(SEED, record.settings.get("seeds"))


def seed_table(records: Sequence[CellRecord], name: str) -> pd.DataFrame:
    """One row per finished cell and seed: axes, ``seed``, and a number as ``value``."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for record in records:
        if record.state == DONE:
            values = _per_seed(record, name)
            seeds = seeds_of(record)
            seeds = seeds if isinstance(seeds, list) else [seeds]
            # A number that a cell gives once for all its seeds is one value.
            known = seeds if len(seeds) == len(values) else [None] * len(values)
            rows += [
                {**record.axes, SEED: seed, "value": float(value)}
                for seed, value in zip(known, values, strict=True)
                if value is not None
            ]
    if not rows:
        return pd.DataFrame(columns=[SEED, "value"])
    # Columns stay as they are where an axis has no value: else none becomes NaN, and 2 then 2.0.
    table = pd.DataFrame(rows, dtype=object)
    whole = table.columns[table.notna().all()]
    table = table.where(table.notna(), None)
    return table.assign(**{str(name): table[name].infer_objects() for name in whole})


def curve_table(
    axes: Mapping[str, Mapping[str, Any]], points: Mapping[str, list[Point]], name: str
) -> pd.DataFrame:
    """One row per point of a number: ``id``, axes, ``step``, ``tokens``, ``time``, ``value``.

    Args:
        axes: of every cell, by id.
        points: of the same cells.
        name: of the number.
    """
    import pandas as pd

    rows = [
        {
            "id": cell_id, **axes[cell_id], "step": point.get("step", i),
            "tokens": point.get("tokens"), "time": point.get("time", point.get("seconds")),
            "value": float(point[name]),
        }
        for cell_id, own in points.items()
        for i, point in enumerate(own)
        if isinstance(point.get(name), int | float)
    ]  # fmt: skip
    return pd.DataFrame(rows)
