"""All cells of a run as flat rows, kept up to date by reading only the files that changed."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from lrray.files import lies_inside
from lrray.reports.board.filters import parse_filter
from lrray.results.record import CellRecord
from lrray.results.run import Run, read_record

Row = dict[str, Any]
_OWN = ("id", "state", "seconds", "reason")
_ENDED_AT = "finished_at"
"""Kept for the order; no column."""

_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Query:
    """Which rows to show, in which order, and which part of them."""

    text: str = ""
    sort_by: str = ""
    descending: bool = False
    offset: int = 0
    limit: int = 25


class CellIndex:
    """Rows of a study's cells: finished, failed, damaged, and those running now.

    Cells that earlier settings or code left in the folder get none.

    The first reading takes time in proportion to the cells; each later one, to those that changed.
    Safe to use from several threads.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._stamps: dict[str, _Stamp] = {}
        self._ended: dict[str, Row] = {}
        self._running: dict[str, Row] = {}
        self._outdated: set[str] = set()
        self._folder_stamp = -1
        self._axes: dict[str, None] = {}
        self._results: dict[str, None] = {}
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Takes in what was written since the last call."""
        with self._lock:
            self._outdated = self.run.outdated()
            self._read_cells()
            self._read_running()

    @property
    def columns(self) -> list[str]:
        """Names of all columns: state, axes, results, seconds, id and why a cell failed."""
        with self._lock:
            return self._columns()

    def _columns(self) -> list[str]:
        last = ["seconds", "id"]
        if any("reason" in row for row in self._ended.values()):
            last.append("reason")
        return ["state", *self._axes, *self._results, *last]

    @property
    def axes(self) -> list[str]:
        """Names of the axes alone."""
        with self._lock:
            return list(self._axes)

    @property
    def counts(self) -> dict[str, int]:
        """Number of cells by state."""
        counts = {"done": 0, "failed": 0, "damaged": 0, "running": 0}
        with self._lock:
            for row in self._all():
                counts[row["state"]] = counts.get(row["state"], 0) + 1
        return counts

    def select(self, query: Query) -> tuple[list[Row], int]:
        """The rows of one page, and how many the filter leaves in all; the newest first.

        Raises:
            LrrayError: the filter cannot be read.
        """
        with self._lock:
            columns, rows = self._columns(), self._all()
        holds = parse_filter(query.text, columns)
        kept = [row for row in rows if holds(row)]
        if query.sort_by in columns:
            kept = _sorted(kept, query.sort_by, query.descending)
        else:
            kept.sort(key=lambda row: row.get(_ENDED_AT, math.inf), reverse=True)
        return kept[query.offset : query.offset + query.limit], len(kept)

    def row(self, cell_id: str) -> Row | None:
        """One cell's row."""
        with self._lock:
            return self._ended.get(cell_id) or self._running.get(cell_id)

    def axes_of(self, cell_ids: Iterable[str]) -> dict[str, Row]:
        """The axes of those of these cells that have a row, by id."""
        with self._lock:
            rows = {i: self._ended.get(i) or self._running.get(i) or {} for i in cell_ids}
            return {i: {a: r[a] for a in self._axes if a in r} for i, r in rows.items() if r}

    def _all(self) -> list[Row]:
        ended = (row for row in self._ended.values() if row["id"] not in self._outdated)
        return [*self._running.values(), *ended]

    def _read_cells(self) -> None:
        folder = self.run.path / "cells"
        try:
            # Cells are renamed into the folder, which renews its time; read before the files.
            stamp = folder.stat().st_mtime_ns
            if stamp == self._folder_stamp:
                return
            inside = lies_inside(self.run.path, "cells")
            entries = {entry.name: entry for entry in os.scandir(folder)} if inside else {}
        except OSError:  # not there, or no folder
            entries, stamp = {}, -1
        present = set()
        for name, entry in entries.items():
            if name.endswith(".json") and not name.startswith("."):
                present.add(name.removesuffix(".json"))
                self._read_cell(entry)
        for cell_id in self._ended.keys() - present:
            del self._ended[cell_id], self._stamps[cell_id]
        self._folder_stamp = stamp

    def _read_cell(self, entry: os.DirEntry[str]) -> None:
        cell_id = entry.name.removesuffix(".json")
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:
            return
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._stamps.get(cell_id) == stamp:
            return
        record = None if entry.is_symlink() else read_record(Path(entry.path))
        self._stamps[cell_id] = stamp
        self._ended[cell_id] = {"id": cell_id, "state": "damaged"} if record is None else (
            self._row(record)
        )  # fmt: skip

    def _row(self, record: CellRecord) -> Row:
        axes, results = _flat(record.axes), _flat(record.result, nested=False)
        results = {k: v for k, v in results.items() if k not in axes and k not in _OWN}
        self._axes |= dict.fromkeys(axes)
        self._results |= dict.fromkeys(results)
        row = {"id": record.id, "state": record.state, **axes, **results}
        row |= {"seconds": record.seconds, _ENDED_AT: record.finished_at}
        if record.reason:
            row["reason"] = record.reason
        return row

    def _read_running(self) -> None:
        cells = self.run.status.get("running", []) if self.run.state == "running" else []
        self._running = {}
        for cell in cells:
            if isinstance(cell, dict) and str(cell.get("id")) not in self._ended:
                axes = _flat(cell.get("axes") or {})
                self._axes |= dict.fromkeys(axes)
                self._running[str(cell["id"])] = {"id": cell["id"], "state": "running", **axes}


def _flat(values: Mapping[str, Any], nested: bool = True) -> Row:
    """Scalars as they are; lists and mappings as short text, or left out."""
    row: Row = {}
    for name, value in values.items():
        if value is None or isinstance(value, str | int | float):
            row[name] = value
        elif nested:
            row[name] = _short(value)
    return row


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 3:
        return f"{value[0]} … {value[-1]} ({len(value)})"
    return json.dumps(value, ensure_ascii=False)[:80]


def _sorted(rows: list[Row], column: str, descending: bool) -> list[Row]:
    """Numbers in order, then texts; rows without a value stay last either way."""
    present = [row for row in rows if row.get(column) is not None]
    texts = [row for row in present if isinstance(row[column], str)]
    numbers = [row for row in present if not isinstance(row[column], str)]
    numbers.sort(key=itemgetter(column), reverse=descending)
    texts.sort(key=itemgetter(column), reverse=descending)
    return numbers + texts + [row for row in rows if row.get(column) is None]
