"""Cells that differ in their seed alone, taken together: means, errors and mean curves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrray.config import get_key
from lrray.results.curves import Point, curve_of
from lrray.results.record import DONE, CellRecord
from lrray.results.tables import SEED, axes_of, column, number_names, seed_table, values_of
from lrray.statistics import Summary, summarize, t_quantile
from lrray.studies.axes import axes_label
from lrray.studies.cell import digest

if TYPE_CHECKING:  # takes longer to load than most commands to run: see each function
    import pandas as pd

GRAPH_SEED = "graph_seed"
MAX_CURVE_POINTS = 400
_NONE = object()


@dataclass
class Group:
    """Finished cells with the same settings but for the seed."""

    axes: dict[str, Any]
    """What tells it from the other groups; the seed left out."""
    records: list[CellRecord] = field(default_factory=list)

    @property
    def label(self) -> str:
        """``model=gru hidden_size=8``."""
        return label(self.axes)

    def values(self, metric: str) -> list[float]:
        """One number per seed; of a cell that repeats seeds, each of them."""
        return [value for record in self.records for value in values_of(record, metric)]

    def curve(self, points: Callable[[str], list[Point]], metric: str) -> MeanCurve | None:
        """Mean over seeds of a number's curve, or None where no cell has drawn it.

        Args:
            points: of a cell, by its id.
            metric: name of the number.
        """
        return mean_curve([curve_of(points(record.id), metric) for record in self.records])

    def summary(self, metric: str) -> Summary | None:
        """Mean over seeds, or None where no cell has this number."""
        values = self.values(metric)
        return summarize(values) if values else None


def label(axes: Mapping[str, Any]) -> str:
    """Axes in short words."""
    return axes_label(axes) or "all cells"


def groups_of(records: Iterable[CellRecord]) -> list[Group]:
    """The groups of finished cells, in the order of their axes' values."""
    groups: dict[str, Group] = {}
    done = [record for record in records if record.state == DONE]
    names = [name for name in axes_of(done) if name != SEED]
    for record in done:
        axes = _axes_in_full(record, names)
        key = digest([axes, _without_seed(record.settings)])
        groups.setdefault(key, Group(axes)).records.append(record)
    return sorted(groups.values(), key=lambda group: in_order(group.axes, group.axes))


def _axes_in_full(record: CellRecord, names: Sequence[str]) -> dict[str, Any]:
    """A cell's axes; of those that the study had not yet when it ended, what its settings say."""
    axes = {}
    for name in names:
        value: Any = record.axes.get(name, _NONE)
        if value is _NONE:
            value = get_key(record.settings, name, _NONE)
        if value is not _NONE:
            axes[name] = value
    return axes


def _without_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings but for the seed and, of a pair matched for one kernel draw, its graph."""
    of_draw = (GRAPH_SEED, "graph") if settings.get(GRAPH_SEED) is not None else ()
    return {name: value for name, value in settings.items() if name not in (SEED, *of_draw)}


def in_order(axes: Mapping[str, Any], names: Iterable[str]) -> list[tuple[bool, float, str]]:
    """A key to sort by the values of these axes: numbers in order, then texts."""
    return [_order(axes.get(name)) for name in names]


def _order(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return not number, float(value) if number else 0.0, "" if number else str(value)


def metrics_of(groups: list[Group]) -> list[str]:
    """Names of the numbers that cells returned, in their order; errors and counts left out."""
    return number_names(record for group in groups for record in group.records)


def means(records: Sequence[CellRecord], name: str, by: Sequence[str]) -> pd.DataFrame:
    """The mean of a number over seeds: columns ``by``, ``mean, se, n, low, high``.

    ``low`` to ``high`` is the 95 % interval (Student's t). Where axes beside ``by`` and the seed
    vary, each seed's values are averaged over them first, so that no seed counts twice; a seed
    that has not all of those values, as in an unfinished run, is left out where others do.

    Args:
        records: of cells; those that are not done do not count.
        name: of the number.
        by: axes.
    """
    return _means(records, name, by).reset_index(drop=True)


def _means(records: Sequence[CellRecord], name: str, by: Sequence[str]) -> pd.DataFrame:
    """The same, each row under its axes as text."""
    table = seed_table(records, name)
    by = [axis for axis in by if axis in table.columns]
    table = _one_row_per_seed(table.set_axis(_texts(table, by), axis=0))
    grouped = table.groupby(level=0, sort=False)
    found = grouped["value"].agg(mean="mean", se="sem", n="count")
    reach = found["n"].map(lambda n: t_quantile(0.975, n - 1) if n > 1 else np.nan) * found["se"]
    found["low"], found["high"] = found["mean"] - reach, found["mean"] + reach
    return table.loc[~table.index.duplicated(), by].join(found)


def _one_row_per_seed(table: pd.DataFrame) -> pd.DataFrame:
    """With the mean of each seed's values, of the seeds that have most of them."""
    import pandas as pd

    seeds = _texts(table, [SEED])
    repeated = pd.MultiIndex.from_arrays([table.index, seeds]).duplicated()
    if table[SEED].isna().any() or not repeated.any():
        return table
    both = table.groupby([table.index, seeds], sort=False)["value"]
    table = table.assign(value=both.transform("mean"), _count=both.transform("size"))
    complete = table["_count"] == table.groupby(level=0)["_count"].transform("max")
    return table[complete & ~repeated]


def means_table(records: Sequence[CellRecord]) -> pd.DataFrame:
    """Means over seeds of every number, by all axes: ``axes, seeds``, each number and its error.

    The error is that over seeds, ``<name>_se``; undefined for a single one.
    """
    import pandas as pd

    done = [record for record in records if record.state == DONE]
    by = [axis for axis in axes_of(done) if axis not in (SEED, "seeds")]
    parts = {name: _means(done, name, by) for name in number_names(done)}
    if not parts:
        return pd.DataFrame()
    rows = pd.concat([part[by] for part in parts.values()])
    table = rows[~rows.index.duplicated()].copy()
    table["seeds"] = pd.concat([part["n"] for part in parts.values()], axis=1).max(axis=1)
    numbers: dict[str, pd.Series] = {}
    for name, part in parts.items():
        shown = column(name, {*by, "seeds"})
        numbers[shown], numbers[f"{shown}_se"] = part["mean"], part["se"]
    return table.join(pd.DataFrame(numbers)).reset_index(drop=True)


def _texts(table: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    """The axes of every row as text: they may hold lists, by which pandas cannot group."""
    return [json.dumps(row, default=str) for row in table[list(axes)].to_dict("records")]


_CLOCKS = ("tokens", "seconds", "time", "epoch", "lr", "learning_rate", "grad_norm")


def by_interest(curves: Iterable[str], results: Iterable[str]) -> list[str]:
    """Names of curves, those first that readers ask for: results, held-out losses, losses.

    Counters, speeds and settings come last.
    """
    known = set(results)

    def rank(name: str) -> tuple[bool, bool, bool, bool]:
        aside = name in _CLOCKS or name.endswith(("_per_s", "_seconds"))
        held_out = name.startswith(("eval", "val", "test"))
        return aside, name not in known, not held_out, "loss" not in name

    return sorted(dict.fromkeys(curves), key=rank)


def varying(groups: list[Group]) -> dict[str, list[Any]]:
    """Axes with more than one value, and their values in order."""
    names = dict.fromkeys(name for group in groups for name in group.axes)
    values = {
        name: list({str(g.axes[name]): g.axes[name] for g in groups if name in g.axes}.values())
        for name in names
    }
    return {name: sorted(own, key=_order) for name, own in values.items() if len(own) > 1}


@dataclass(frozen=True)
class MeanCurve:
    """A metric over steps: mean and standard error over seeds."""

    steps: NDArray[np.float64]
    mean: NDArray[np.float64]
    error: NDArray[np.float64]
    """NaN for a single seed."""
    n: int


def mean_curve(curves: list[list[tuple[float, float]]]) -> MeanCurve | None:
    """The mean of curves over the steps that all of them cover, straight lines between points."""
    curves = [sorted(curve) for curve in curves if curve]
    if not curves:
        return None
    low, high = max(c[0][0] for c in curves), min(c[-1][0] for c in curves)
    steps = np.unique([step for c in curves for step, _ in c if low <= step <= high])
    if len(steps) > MAX_CURVE_POINTS:
        steps = steps[np.linspace(0, len(steps) - 1, MAX_CURVE_POINTS).astype(int)]
    if not len(steps):
        return None
    values = np.array([np.interp(steps, *np.array(curve).T) for curve in curves])
    n = len(curves)
    error = values.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(len(steps), np.nan)
    return MeanCurve(steps, values.mean(axis=0), error, n)
