"""The results folder of one run: what is written where, so that nothing finished is ever lost.

Every file is written whole under a temporary name and then renamed, so a reader or a resumed run
sees the old content or the new, never half of one.

::

    results/<study>/<run id>/
      study.yaml         settings, resolved
      provenance.json    what ran, where, with which versions
      status.json        how far the run is, renewed every few seconds
      outdated.json      which cells here are no part of the study as it stands
      kept.json          codes whose results count although the code has changed since
      code/<digest>/     the user's modules as cells were computed with them
      code.diff          what has changed in them since the newest results of other code
      cells/<id>.json    one finished cell each
      metrics/<id>.jsonl a cell's curves: one line per logged point
      samples/<id>.jsonl texts that a cell's model generated, where the kind keeps them
      weights/<id>/      weights of a trained model, where they are kept
      stop               names a driver whose running cells are asked to end
      shared/            data that several cells use
      checkpoints/<id>/  what an unfinished cell continues from
      failures/<id>.txt  traceback of a cell that failed for good
      proposals/         what each search has proposed, in its order
      optuna.journal     the searches for optuna-dashboard; nobody reads it back
      quarantine/        files that could not be read, kept for a look
      report.json        what report.html was made from
      …                  what the study's kind adds: tables, figures, summary.json
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrray.errors import LrrayError
from lrray.files import NO_FILE, read_file, remove_stale_below, write_whole
from lrray.json_text import parse_json
from lrray.results.record import DONE, FAILED, STOPPED, CellRecord, plain_data
from lrray.studies.cell import Cell

OUTDATED = "outdated.json"
"""File that names the cells which earlier settings or code left, under ``cells``."""

STOP = "stop"
"""File that asks the running cells of the driver named in it to end."""

_PROBE = "probe"
"""A file that shows whether the folder can be written."""


@dataclass(frozen=True)
class RunFolder:
    """Paths and durable reads and writes of one run."""

    path: Path

    @classmethod
    def create(cls, results: Path, study: str) -> RunFolder:
        """Makes a new run's folder, named by the time.

        Raises:
            LrrayError: the place cannot be written.
        """
        while (second := time.strftime("%Y%m%d-%H%M%S-")) and any(
            (results / study).glob(f"{second}*")
        ):
            time.sleep(0.05)  # ids tell which run is newer: one a second
        run_id = second + secrets.token_hex(2)
        path = results / study / run_id
        try:
            (path / "cells").mkdir(parents=True)
        except OSError as error:
            raise LrrayError(
                str(path), f"cannot be made: {error.strerror}", fix="give another --out"
            ) from None
        return cls(path)

    @property
    def name(self) -> str:
        """``<study>/<run id>``."""
        return f"{self.path.parent.name}/{self.path.name}"

    def address(self) -> dict[str, str]:
        """What a worker on another node opens the run with."""
        return {"path": str(self.path.resolve())}

    def read(self, name: str) -> bytes | None:
        """One file's content, or None where there is none."""
        try:
            return read_file(self.path / name)
        except OSError:
            return None

    def write_text(self, name: str, text: str) -> Path:
        """Writes one file atomically and durably."""
        target = self.path / name
        write_whole(target, text)
        return target

    def write_json(self, name: str, data: Any) -> Path:
        """Writes plain data as JSON."""
        return self.write_text(name, json.dumps(plain_data(data), indent=1) + "\n")

    def renew(self, name: str, text: str) -> None:
        """Writes one file where it holds anything else: its time says when its content changed."""
        if not (self.path / name).exists() or self.read(name) != text.encode():
            self.write_text(name, text)

    def remove(self, name: str) -> None:
        """Removes one file if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def ask_to_stop(self, driver: str) -> None:
        """Asks a driver's running cells to write their checkpoints and end.

        Another driver's go on: one that was taken for dead may come back and stop.
        """
        self.write_text(STOP, driver)

    def forget_stop(self) -> None:
        """Lets cells run again."""
        self.remove(STOP)

    def asked_to_stop(self, driver: str) -> bool:
        """Whether a driver's running cells are to end."""
        try:
            return read_file(self.path / STOP) == driver.encode()
        except OSError:
            return False

    def is_running(self, cell_id: str) -> bool:
        """Whether a worker has begun a cell and not yet ended it, in whatever way."""
        try:
            noted = parse_json(self.read(f"attempts/{cell_id}.json") or b"null")
            return bool(noted["running"])
        except (ValueError, KeyError, TypeError):
            return False

    def append_metrics(self, cell_id: str, point: Mapping[str, float]) -> None:
        """Adds a point to a cell's curves."""
        path = self.path / "metrics" / f"{cell_id}.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(dict(point), default=float) + "\n")

    def cell_path(self, cell_id: str) -> Path:
        """Where a finished cell's result lies."""
        return self.path / "cells" / f"{cell_id}.json"

    def save_cell(self, cell: Cell, result: dict[str, Any], seconds: float) -> None:
        """Keeps a finished cell for good."""
        self._save(CellRecord.of(cell, DONE, seconds, result))

    def save_failure(self, cell: Cell, reason: str, traceback: str, seconds: float) -> None:
        """Keeps a cell that failed for good: one line here, its traceback in a file."""
        self.write_text(f"failures/{cell.id}.txt", traceback)
        self._save(CellRecord.of(cell, FAILED, seconds, reason=reason))

    def save_stopped(self, cell: Cell) -> None:
        """Keeps that a scheduler stopped a cell, so that it is not run again."""
        self._save(CellRecord.of(cell, STOPPED, 0.0))

    def _save(self, record: CellRecord) -> None:
        self.write_text(f"cells/{record.id}.json", record.to_json())

    def load_cell(self, cell_id: str) -> CellRecord | None:
        """A cell's record, or None where it is not there or was damaged (then quarantined)."""
        path = self.cell_path(cell_id)
        try:
            record = CellRecord.parse(read_file(path), cell_id)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in NO_FILE:
                raise
            record = None
        if record is None:
            self.quarantine(path)
        return record

    def load_cells(self, cell_ids: Iterable[str]) -> list[CellRecord | None]:
        """Records of cells that workers have ended, in their order."""
        return [self.load_cell(cell_id) for cell_id in cell_ids]

    def cells(self) -> Iterator[CellRecord]:
        """Records of all finished cells that can be read, in the order of their ids."""
        folder = self.path / "cells"
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            record = self.load_cell(path.stem)
            if record is not None:
                yield record

    def remove_leftovers(self) -> None:
        """Removes what killed workers and drivers left beside the results."""
        remove_stale_below(self.path)
        self.remove(_PROBE)
        for notes in (self.path / "attempts").glob("*.json"):
            if self.cell_path(notes.stem).exists():  # killed between its result and these
                notes.unlink(missing_ok=True)

    def has_room(self) -> None:
        """Raises OSError where no file of some size can be written."""
        self.write_text(_PROBE, "x" * 65536).unlink()

    def note_outdated(self, wanted: Iterable[str]) -> None:
        """Notes which cells here the study does not ask for: reports leave them out."""
        here = {path.stem for path in (self.path / "cells").glob("*.json")}
        self.renew(OUTDATED, json.dumps({"cells": sorted(here - set(wanted))}, indent=1) + "\n")

    def forget_failures(self) -> int:
        """Drops the records of failed cells, so that they run again; returns how many."""
        failed = [record.id for record in self.cells() if record.state == FAILED]
        for cell_id in failed:
            self.remove(f"cells/{cell_id}.json")
        return len(failed)

    def quarantine(self, path: Path) -> Path:
        """Moves a damaged file aside, out of every later reader's way."""
        target = self.path / "quarantine" / f"{path.name}.{secrets.token_hex(2)}"
        target.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another process was faster
            path.replace(target)
        return target
