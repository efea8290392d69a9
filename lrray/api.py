"""lrray in a notebook: a run as an object to ask, to plot and to take models from."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrray.errors import LrrayError, did_you_mean
from lrray.results.frames import RunFrames
from lrray.results.record import CellRecord
from lrray.results.run import find_runs, newest_runs
from lrray.studies.kind import load_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrray.gssm import GSSM
    from lrray.reports.compare.comparison import Comparison


class Run(RunFrames):
    """A run of a study: its cells, curves and means as data frames, its figures, its models."""

    def plot(
        self, name: str, x: str = "step", hue: str | None = None, ax: Axes | None = None
    ) -> Axes:
        """Draws a number as the reports do: means over seeds, with one standard error.

        Args:
            name: of the number.
            x: ``step`` for the cells' curves, or an axis of the grid.
            hue: axis with a line for each of its values.
            ax: where to draw; default: a figure of its own.

        Raises:
            LrrayError: there is no such number or axis.
        """
        from lrray.reports.plot import plot

        return plot(self, name, x, hue, ax)

    def graph(self, cell: Any, seed: int | None = None) -> GSSM:
        """The GSSM that a cell is about, with the kernels it had.

        Args:
            cell: its id or the first digits of it, its record, or its row of :attr:`cells`.
            seed: which one, of a cell that repeats several.

        Raises:
            LrrayError: there is no such cell, or its kind knows no GSSM.
        """
        record = self._record(cell)
        make = load_kind(record.kind).graph
        if make is None:
            raise LrrayError(self.name, f"cells of kind {record.kind} have no GSSM")
        settings, _ = self._settings(record, seed)
        gssm: GSSM = make(settings)
        return gssm

    def model(self, cell: Any, seed: int | None = None) -> Any:
        """A finished cell's trained model, ready to use: an ``nn.Module`` in evaluation mode.

        Args:
            cell: as for :meth:`graph`.
            seed: which one, of a cell that repeats several.

        Raises:
            LrrayError: there is no such cell, its kind trains no model, or its weights were not
                kept.
        """
        record = self._record(cell)
        make = load_kind(record.kind).load_model
        if make is None:
            raise LrrayError(self.name, f"cells of kind {record.kind} train no model")
        settings, suffix = self._settings(record, seed)
        weights = self.path / "weights" / f"{record.id}{suffix}"
        if not weights.is_dir():
            raise LrrayError(
                f"{self.name}: cell {record.id}", "kept no weights",
                fix="set keep_weights: true in the study and run it anew",
            )  # fmt: skip
        return make(settings, weights)

    def _record(self, cell: Any) -> CellRecord:
        if isinstance(cell, CellRecord):
            return cell
        return self.record(str(cell if isinstance(cell, str) else cell["id"]))

    def _settings(self, record: CellRecord, seed: int | None) -> tuple[Mapping[str, Any], str]:
        """A cell's settings with one seed, and what names that among its cell's."""
        seeds = record.settings.get("seed", record.settings.get("seeds"))
        if not isinstance(seeds, list):
            return record.settings, ""
        chosen = seeds[0] if seed is None and len(seeds) == 1 else seed
        if chosen not in seeds:
            raise LrrayError(
                f"{self.name}: cell {record.id}", "repeats several seeds: name one", got=seed,
                fix=f"seed={seeds[0]}",
            )  # fmt: skip
        return {**record.settings, "seed": chosen}, f"_seed_{chosen}"

    def _facts(self) -> dict[str, Any]:
        counts = ", ".join(f"{count} {state}" for state, count in sorted(self.counts.items()))
        return {"run": self.name, "kind": self.kind, "state": self.state, "cells": counts or "none"}

    def __repr__(self) -> str:
        facts = self._facts()
        return f"<Run {facts['run']}: {facts['kind']}, {facts['state']}, cells: {facts['cells']}>"

    def _repr_html_(self) -> str:
        facts = {**self._facts(), "hypothesis": self.hypothesis, "folder": str(self.path)}
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(str(value))}</td></tr>"
            for name, value in facts.items()
            if value
        )
        return f"<b>{escape(self.question)}</b><table>{rows}</table>"


def load(source: str | Path) -> Run:
    """The newest run of a study, or a run by its folder.

    Args:
        source: a run's folder, a study's folder, e.g. ``results/latents``, or a study's name
            below ``results``.

    Raises:
        LrrayError: there is no such run, or there are several studies.
    """
    place = Path(source)
    if not place.is_dir() and place == Path(place.name) and (Path("results") / place).is_dir():
        place = Path("results") / place
    if not place.is_dir():
        known = [path.name for path in place.parent.iterdir()] if place.parent.is_dir() else []
        raise LrrayError(str(source), "no such run", fix=did_you_mean(place.name, known))
    runs = newest_runs(place)
    if len(runs) > 1:
        studies = ", ".join(run.path.parent.name for run in runs[:10])
        raise LrrayError(str(source), "holds several studies", fix=f"add one of {studies}")
    ended = [run for run in find_runs(place) if any((run.path / "cells").glob("*.json"))]
    return Run(ended[-1].path if ended else runs[0].path)


def compare(*sources: str | Path | Run, metric: str | None = None) -> Comparison:
    """Compares runs: searches by what they reached, other studies by the cells that they share.

    Args:
        sources: two or more runs, or their folders; ``NAME=`` before a folder names it.
        metric: the number by which W&B runs are judged.

    Raises:
        LrrayError: a source cannot be read, or there is nothing to compare.
    """
    from lrray.reports.compare.comparison import compare as compare_sources

    places = [str(source.path) if isinstance(source, RunFrames) else str(source)
              for source in sources]  # fmt: skip
    return compare_sources(places, metric)
