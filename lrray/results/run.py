"""A run's results folder as reports see it: only ever read, whether its study still runs or not."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from lrray.config import load_yaml
from lrray.errors import LrrayError
from lrray.results.curves import Point, read_points
from lrray.results.folder import OUTDATED, RunFolder
from lrray.results.lock import is_held
from lrray.results.record import CellRecord

State = Literal["running", "finished", "stopped"]


@dataclass(frozen=True)
class Run:
    """One run, read anew at every call; damaged files count as absent and are left alone.

    So do links that lead out of the run's folder: it may be somebody else's.
    """

    path: Path

    @property
    def name(self) -> str:
        """``<study>/<run id>``."""
        return RunFolder(self.path).name

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The resolved study file; read once."""
        try:
            return load_yaml(self.path / "study.yaml") if self._holds("study.yaml") else {}
        except LrrayError:
            return {}

    @property
    def kind(self) -> str:
        """The kind of its study."""
        return str(self.settings.get("kind", "unknown"))

    @property
    def question(self) -> str:
        """What the study asks."""
        return str(self.settings.get("question", self.name))

    @property
    def hypothesis(self) -> str:
        """What was expected before the run."""
        return str(self.settings.get("hypothesis", ""))

    @property
    def provenance(self) -> dict[str, Any]:
        """What ran, where, with which versions."""
        return self._json("provenance.json")

    @property
    def status(self) -> dict[str, Any]:
        """How far the run is, as its driver last told."""
        return self._json("status.json")

    @property
    def summary(self) -> dict[str, Any]:
        """What the study found; empty until it ends."""
        return self._json("summary.json")

    @property
    def state(self) -> State:
        """Whether it ended, or a driver works in it, or it was stopped before its end."""
        if (self.path / "summary.json").exists():  # a driver that goes on removes it first
            return "finished"
        return "running" if is_held(self.path) else "stopped"

    def records(self) -> Iterator[CellRecord]:
        """All readable cells, in the order of their ids."""
        for path in sorted((self.path / "cells").glob("*.json")) if self._holds("cells") else ():
            record = None if path.is_symlink() else read_record(path)
            if record is not None:
                yield record

    def wanted_records(self) -> Iterator[CellRecord]:
        """The cells of the study as it stands; those in :meth:`outdated` stay out."""
        outdated = self.outdated()
        return (record for record in self.records() if record.id not in outdated)

    def outdated(self) -> set[str]:
        """Ids of cells here that earlier settings or code left."""
        noted = self._json(OUTDATED).get("cells")
        if isinstance(noted, list):
            return set(map(str, noted))
        # A run of an earlier version tells only which cells it ended with.
        try:
            with (self.path / "cells.csv").open(newline="") as file:
                ended = {row["id"] for row in csv.DictReader(file)}
        except (OSError, KeyError):
            return set()
        return {path.stem for path in (self.path / "cells").glob("*.json")} - ended

    def metrics(self, cell_id: str) -> list[Point]:
        """A cell's curves, as :mod:`lrray.results.curves` reads them."""
        name = f"metrics/{cell_id}.jsonl"
        return read_points(self.path / name) if self._holds(name) else []

    def _holds(self, name: str) -> bool:
        """Whether a name stands for something inside the run's folder, links followed."""
        return (self.path / name).resolve().is_relative_to(self.path.resolve())

    def _json(self, name: str) -> dict[str, Any]:
        if not self._holds(name):
            return {}
        try:
            data = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}


def read_record(path: Path) -> CellRecord | None:
    """A cell's record, or None where it is gone or damaged."""
    try:
        return CellRecord.parse(path.read_bytes(), path.stem)
    except OSError:
        return None


def find_runs(place: Path) -> list[Run]:
    """The runs at a run's folder, in a study's folder or in a whole results folder.

    In the order of study, then time.

    Raises:
        LrrayError: there is no such folder.
    """
    if not place.is_dir():
        raise LrrayError(str(place), "no such folder", fix="give a results folder")
    place = place.resolve()
    found = [*place.glob("study.yaml"), *place.glob("*/study.yaml"), *place.glob("*/*/study.yaml")]
    paths = {path.parent.resolve() for path in found}
    return [Run(path) for path in sorted(paths) if path.is_relative_to(place)]


def newest_runs(place: Path) -> list[Run]:
    """The newest run of every study among :func:`find_runs`.

    Raises:
        LrrayError: there is none.
    """
    newest = {run.path.parent: run for run in find_runs(place)}
    if not newest:
        raise LrrayError(
            str(place), "holds no run of a study",
            fix="give a run's folder, a study's folder or the results folder",
        )  # fmt: skip
    return list(newest.values())
