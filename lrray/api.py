"""lrray in a notebook: a run as an object to ask, to plot and to take models from."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrray.config import dump_yaml
from lrray.errors import LrrayError, did_you_mean
from lrray.results.find import find_run, latest_run
from lrray.results.folder import RunFolder
from lrray.results.frames import RunFrames
from lrray.results.known import KnownCells
from lrray.results.plain import plain_result
from lrray.results.record import CellRecord
from lrray.results.run import find_runs, newest_runs
from lrray.search.program import Plan, load_program
from lrray.studies.kind import load_kind
from lrray.studies.load import LoadedStudy, load_study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrray.gssm import GSSM
    from lrray.reports.compare.comparison import Comparison

Overrides = Sequence[str] | Mapping[str, Any]
"""Settings to change: words as on the command line, or values by key path."""


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


@dataclass(frozen=True)
class Study(LoadedStudy):
    """A study that can be looked at, planned and run: ``Study.load("latents", ["scale=small"])``.

    :attr:`first` holds its settings, :attr:`points` the study at every point of its grid.
    """

    @classmethod
    def load(cls, name: str | Path, settings: Overrides = ()) -> Study:
        """Reads and checks a study.

        Args:
            name: a study in ``studies/`` or a shipped one, or a file.
            settings: to change: ``["target.value=0.8"]`` or ``{"target.value": 0.8}``.

        Raises:
            LrrayError: anything that is wrong with it.
        """
        loaded = load_study(str(name), _words(settings))
        study = cls(loaded.given, loaded.path, loaded.data, loaded.kind, loaded.points)
        study.check(Path("results"))
        return study

    def plan(self, out: str | Path = "results") -> Plan:
        """What a run would do that goes on from the newest one below ``out``; starts nothing."""
        earlier = latest_run(Path(out), self.name)
        folder = None if earlier is None else RunFolder(earlier)
        return load_program(self.kind).plan(self.points, folder, KnownCells.of(folder))

    def run(self, out: str | Path = "results", **options: Any) -> Run:
        """Runs it; see :func:`run`, which takes the same options."""
        _ask_for_no_widgets()
        from rich.console import Console

        from lrray.runs.run import Options, run_study

        quiet = options.pop("quiet", False)
        # A quiet one is no notebook's either: rich would show an empty frame there.
        console = Console(
            quiet=quiet, force_jupyter=False if quiet else None, highlight=False, markup=False
        )
        return Run(run_study(self, Options(Path(out), **options), console).path)

    def __repr__(self) -> str:
        return f"<Study {self.name}: {self.first.kind}, {len(self.points)} grid points>"

    def _repr_html_(self) -> str:
        text = escape(dump_yaml(self.resolved()))
        return f"<b>{escape(self.first.question)}</b><pre>{text}</pre>"


def _ask_for_no_widgets() -> None:
    """Keeps Optuna and Ray from asking for ipywidgets, which nothing here needs, when imported."""
    warnings.filterwarnings("ignore", message="IProgress not found")
    logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)


def _words(settings: Overrides) -> list[str]:
    """Settings to change as the command line has them."""
    if isinstance(settings, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in plain_result(settings).items()]
    return list(settings)


def run(
    name: str | Path,
    settings: Overrides = (),
    *,
    out: str | Path = "results",
    resume: bool | str = False,
    retry_failed: bool = False,
    keep_code: bool = False,
    address: str = "local",
    quiet: bool = False,
) -> Run:
    """Runs a study, as ``lrray study`` does: in a script, a notebook or another program.

    Ray is started where it does not run yet, and left running for the next study. Ctrl-C, or a
    notebook's interrupt, stops it as on the command line: finished cells are kept.

    Args:
        name: a study in ``studies/`` or a shipped one, or a file.
        settings: to change: ``["target.value=0.8"]`` or ``{"target.value": 0.8}``.
        out: folder for results.
        resume: whether to go on with the newest run, where there is one; or which run.
        retry_failed: whether failed cells of that run are run again.
        keep_code: whether results of code that has changed since are kept.
        address: Ray cluster: ``local``, ``auto`` or ``HOST:PORT``.
        quiet: show no progress.

    Returns:
        The run, its cells ended; failed ones are among :attr:`Run.cells`.

    Raises:
        LrrayError: the study is wrong, or something outside of its cells stopped it.
        KeyboardInterrupt: it was stopped.
    """
    study = Study.load(name, settings)
    return study.run(
        out, resume=resume, retry_failed=retry_failed, keep_code=keep_code, address=address,
        quiet=quiet,
    )  # fmt: skip


def load(source: str | Path) -> Run:
    """The newest run of a study, or a run by its folder.

    Args:
        source: a run's folder, or a study's folder, e.g. ``results/latents``; or what
            :func:`lrray.results.find.find_run` finds below ``results``: a study's name, a run's
            id or tag.

    Raises:
        LrrayError: there is no such run, or there are several studies.
    """
    place = Path(source)
    if not place.is_dir() and place == Path(place.name):
        return Run(find_run(place.name).path)
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
