"""A run as data frames, as a notebook asks for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from lrray.errors import LrrayError
from lrray.results.record import DONE, CellRecord
from lrray.results.run import Run, unknown
from lrray.results.tables import SEED, axes_of, cell_table, curve_table, number_names
from lrray.studies.axes import axes_named

if TYPE_CHECKING:  # takes longer to load than most commands to run: see each function
    import pandas as pd


class RunFrames(Run):
    """A run whose cells, trials, pairs and curves are data frames."""

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial of the study's searches, in the order they ended.

        Raises:
            LrrayError: the study searches nothing.
        """
        if (table := self.table("trials.csv")) is not None:
            return table
        if not self.settings.get("search"):
            raise LrrayError(self.name, "searches nothing, so it has no trials", fix="see .cells")
        return cell_table(sorted(self.wanted_records(), key=lambda record: record.finished_at))

    @property
    def pairs(self) -> pd.DataFrame:
        """One row per matched pair: those that a difficulty study found, or a training study uses.

        Raises:
            LrrayError: the study knows no pairs, or has not found them yet.
        """
        import pandas as pd

        sets = {"": self._told("pairs.yaml")} if self._holds("pairs.yaml") else {}
        if not any(sets.values()):
            sets = self.settings.get("pairs", {})
        rows = [
            {**({"pair_set": name} if name else {}), **pair}
            for name, own in sets.items() if isinstance(own, dict)
            for pair in own.get("pairs") or () if isinstance(pair, dict)
        ]  # fmt: skip
        if not rows:
            raise LrrayError(self.name, "has no matched pairs", fix="read a difficulty study's run")
        return pd.DataFrame(rows).drop(columns="graph", errors="ignore")

    def curves(self, name: str) -> pd.DataFrame:
        """A number over the course of every cell, those that run now included.

        Returns:
            A row per point, with ``id``, the cell's axes, ``step``, ``tokens`` and ``time`` where
            the cell logged them, ``value``.

        Raises:
            LrrayError: no cell logged the number.
        """
        axes = {record.id: record.axes for record in self.wanted_records()}
        running = self.status.get("running", []) if self.state == "running" else []
        axes |= {cell["id"]: cell.get("axes", {}) for cell in running if "id" in cell}
        points = {cell_id: self.metrics(cell_id) for cell_id in axes}
        table = curve_table(axes, points, name)
        if table.empty:
            logged = dict.fromkeys(n for own in points.values() for p in own for n in p)
            raise unknown(self.name, name, "number that its cells log", logged)
        return table

    def means(self, name: str, by: Sequence[str] | None = None) -> pd.DataFrame:
        """A number's mean over seeds: ``by``, ``mean, se, n, low, high`` (95 %, Student's t).

        Where axes beside ``by`` and the seed vary, each seed's values are averaged over them first,
        so that n counts seeds; one that lacks some of them, as in an unfinished run, is left out.

        Args:
            name: of the number, a column of :attr:`cells`.
            by: axes, in full or by their last word; default: all but the seed.

        Raises:
            LrrayError: there is no such number or axis.
        """
        from lrray.results.groups import means  # and scipy with it

        records = list(self.wanted_records())
        self.check_number(records, name)
        given = axes_of(records) if by is None else [self.axis(axis) for axis in by]
        return means(records, name, [axis for axis in given if axis not in (SEED, "seeds")])

    def best(
        self,
        by: Sequence[str] = (),
        name: str | None = None,
        mode: Literal["min", "max"] | None = None,
    ) -> pd.DataFrame:
        """The best finished cell of every condition, as rows of :attr:`cells`.

        Args:
            by: axes whose combinations are the conditions; none: the best of all.
            name: of the number that is judged; default: the search's metric, else the first one.
            mode: whether that is to be small or large; default: as the search has it, else small.

        Raises:
            LrrayError: there is no such number or axis, or no cell is done.
        """
        records = [record for record in self.wanted_records() if record.state == DONE]
        search = self.settings.get("search") or {}
        names = number_names(records)
        judged = name or str(search.get("metric"))
        if name is None and judged not in names:
            judged = next(iter(names), "")
        self.check_number(records, judged)
        mode = mode or (search.get("mode", "min") if judged == search.get("metric") else "min")
        table = cell_table(records).sort_values(judged, ascending=mode == "min", kind="stable")
        axes = [self.axis(axis) for axis in by]
        table = table.assign(**{axis: table[axis].map(_hashable) for axis in axes})
        return table.drop_duplicates(axes) if axes else table.head(1)

    def axis(self, name: str) -> str:
        """The full name of an axis that is given in full or by its last word.

        Raises:
            LrrayError: there is none, or several.
        """
        axes = axes_of(self.wanted_records())
        found = axes_named(name, axes)
        if len(found) != 1:
            raise unknown(self.name, name, "axis of its grid", found or axes)
        return found[0]

    def check_number(self, records: Sequence[CellRecord], name: str) -> None:
        """Refuses a number that no cell gave.

        Raises:
            LrrayError: and says which there are.
        """
        known = number_names(records)
        if name not in known:
            raise unknown(self.name, name, "number that its cells gave", known)


def _hashable(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
