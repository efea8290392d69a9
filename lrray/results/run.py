"""A run's results folder as it is read: only ever read, whether its study still runs or not."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lrray.errors import LrrayError, did_you_mean
from lrray.files import lies_inside, read_file
from lrray.results.curves import Point, ReadCurves
from lrray.results.folder import OUTDATED, RunFolder
from lrray.results.lock import is_held
from lrray.results.record import CellRecord
from lrray.results.tables import cell_table
from lrray.results.told import TOLD, read_told
from lrray.studies.tuned import references

if TYPE_CHECKING:
    import pandas as pd

_MOST_CSV_BYTES = 1 << 27

State = Literal["running", "finished", "stopped"]


@dataclass(frozen=True)
class Run:
    """One run, looked at anew at every call; damaged files count as absent and are left alone.

    So do links that lead out of the run's folder: it may be somebody else's.
    """

    path: Path
    _records: dict[str, tuple[Any, CellRecord | None]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Cell -> time, size and inode of its file, and what it holds: read again where they change."""

    _curves: ReadCurves = field(default_factory=ReadCurves, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """``<study>/<run id>``."""
        return RunFolder(self.path).name

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The resolved study file; read once."""
        return self._told("study.yaml")

    @property
    def tuned(self) -> list[str]:
        """Key paths of the settings whose values an earlier run found, each condition's own."""
        return [path for path, _ in references(self.settings)]

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
        return self._told("provenance.json")

    @property
    def status(self) -> dict[str, Any]:
        """How far the run is, as its driver last told."""
        return self._told("status.json")

    @property
    def summary(self) -> dict[str, Any]:
        """What the study found; empty until it ends."""
        return self._told("summary.json")

    @property
    def state(self) -> State:
        """Whether it ended, or a driver works in it, or it was stopped before its end."""
        if (self.path / "summary.json").exists():  # a driver that goes on removes it first
            return "finished"
        return "running" if is_held(self.path) else "stopped"

    @property
    def counts(self) -> Counter[str]:
        """Number of cells of the study as it stands, by their state."""
        return Counter(record.state for record in self.wanted_records())

    @property
    def cells(self) -> pd.DataFrame:
        """One row per cell that has ended: id, state, axes, the numbers of its result, seconds."""
        return cell_table(list(self.wanted_records()))

    def record(self, cell: str) -> CellRecord:
        """The record of a cell by its id, or by the first digits of it.

        Raises:
            LrrayError: there is none, or several.
        """
        ids = [record.id for record in self.wanted_records()]
        found = [cell_id for cell_id in ids if cell and cell_id.startswith(cell)]
        if len(found) != 1:
            raise unknown(self.name, cell, "cell that has ended", found or ids)
        record = self._records[f"{found[0]}.json"][1]
        assert record is not None  # it was just listed
        return record

    def records(self) -> Iterator[CellRecord]:
        """All readable cells, in the order of their ids; only files that changed are read."""
        try:
            entries = {e.name: e for e in os.scandir(self.path / "cells")}
        except OSError:
            entries = {}
        if entries and not self._holds("cells"):
            entries = {}
        for gone in self._records.keys() - entries.keys():
            del self._records[gone]
        for name in sorted(entries):
            if name.endswith(".json") and not name.startswith("."):
                record = self._read(entries[name])
                if record is not None:
                    yield record

    def _read(self, entry: os.DirEntry[str]) -> CellRecord | None:
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError:
            return None
        stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
        known = self._records.get(entry.name)
        if known is None or known[0] != stamp:
            known = stamp, None if entry.is_symlink() else read_record(Path(entry.path))
            self._records[entry.name] = known
        return known[1]

    def wanted_records(self) -> Iterator[CellRecord]:
        """The cells of the study as it stands; those in :meth:`outdated` stay out."""
        outdated = self.outdated()
        return (record for record in self.records() if record.id not in outdated)

    def outdated(self) -> set[str]:
        """Ids of cells here that earlier settings or code left."""
        return set(map(str, self._told(OUTDATED).get("cells", ())))

    @property
    def damage(self) -> list[str]:
        """What of the run could not be read, a line each; all else is shown as if it were all."""
        lines = []
        for name in TOLD:
            why = read_told(self.path, name).damage if self._holds(name) else "leads elsewhere"
            if why and os.path.lexists(self.path / name):
                lines.append(f"{name} {why}")
        list(self.records())
        bad = [name for name, (_, record) in self._records.items() if record is None]
        if bad:
            more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
            lines.append(f"cells/{', '.join(sorted(bad)[:3])}{more}: no record of a cell")
        return lines

    def metrics(self, cell_id: str) -> list[Point]:
        """A cell's curves, as :mod:`lrray.results.curves` reads them."""
        name = f"metrics/{cell_id}.jsonl"
        there = (self.path / name).exists() and self._holds(name)
        return self._curves.read(self.path / name) if there else []

    def _holds(self, name: str) -> bool:
        """Whether a name stands for something inside the run's folder, links followed."""
        # Of thousands of curves, a plain name takes a tenth of the time.
        return _is_plain(self.path, name) or lies_inside(self.path, name)

    def table(self, name: str) -> pd.DataFrame | None:
        """A CSV file of the run, or None where there is none that can be read."""
        import pandas as pd

        try:
            content = read_file(self.path / name, _MOST_CSV_BYTES) if self._holds(name) else b""
            return pd.read_csv(io.BytesIO(content)) if content else None
        except (OSError, ValueError, pd.errors.ParserError):
            return None

    def _told(self, name: str) -> dict[str, Any]:
        """What one of the run's files says, as far as that can be read."""
        return read_told(self.path, name).data if self._holds(name) else {}


def _is_plain(folder: Path, name: str) -> bool:
    """Whether a name leads from a folder down to a file without a link on the way."""
    parts = name.split("/")
    if not all(parts) or ".." in parts:
        return False
    try:
        return not any((folder / "/".join(parts[: i + 1])).is_symlink() for i in range(len(parts)))
    except (OSError, ValueError):  # a name that no file can have
        return False


def unknown(where: str, name: str, what: str, known: Any) -> LrrayError:
    """What a name that is not known is answered with."""
    return LrrayError(where, f"must be given a {what}", got=name, fix=did_you_mean(name, known))


def read_record(path: Path) -> CellRecord | None:
    """A cell's record, or None where it is gone or damaged."""
    try:
        return CellRecord.parse(read_file(path), path.stem)
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
