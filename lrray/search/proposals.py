"""What a search has proposed, kept before a cell of it runs.

A cell's record says what was measured. That a proposal is pending, so that it is made again and
its cell goes on from its checkpoint, and in which order proposals were made, only this says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lrray.files import read_file
from lrray.json_text import parse_json
from lrray.results.folder import RunFolder
from lrray.studies.cell import digest

PROPOSALS = "proposals"

JOURNAL = "optuna.journal"
"""File of a run's searches for optuna-dashboard; see :mod:`lrray.search.journal`."""

Parameters = dict[str, Any]


class Proposals:
    """The proposals of one search: a file with a line each, in their order.

    Args:
        folder: of the run.
        search: name of the search in the run.
    """

    def __init__(self, folder: RunFolder, search: str) -> None:
        self._folder, self._search = folder, search
        self._name = f"{PROPOSALS}/{digest(search)}.jsonl"

    @property
    def path(self) -> Path:
        """The search's file."""
        return self._folder.path / self._name

    def load(self) -> list[Parameters]:
        """All that can be read."""
        return [line["parameters"] for line in _lines(self.path)]

    def replace(self, proposals: Iterable[tuple[str, Parameters]]) -> None:
        """Writes cell ids and parameters anew, where they are others."""
        text = "".join(self._line(cell_id, parameters) for cell_id, parameters in proposals)
        if not self.path.exists() or self.path.read_bytes() != text.encode():
            self._folder.write_text(self._name, text)

    def add(self, cell_id: str, parameters: Mapping[str, Any]) -> None:
        """Keeps one more; it is on the disk when this returns."""
        with self.path.open("a") as file:
            file.write(self._line(cell_id, parameters))
            file.flush()
            os.fsync(file.fileno())

    def _line(self, cell_id: str, parameters: Mapping[str, Any]) -> str:
        content = {"search": self._search, "cell": cell_id, "parameters": dict(parameters)}
        return json.dumps(content) + "\n"


def proposed_cells(run: Path) -> dict[str, list[tuple[str, Parameters]]]:
    """Cell ids and parameters that each search of a run has proposed, in their order."""
    found: dict[str, list[tuple[str, Parameters]]] = {}
    for path in sorted((run / PROPOSALS).glob("*.jsonl")):
        for line in _lines(path):
            found.setdefault(line["search"], []).append((line["cell"], line["parameters"]))
    return found


def _lines(path: Path) -> list[dict[str, Any]]:
    """Lines of a file of proposals; those that were cut short or damaged are left out."""
    try:
        content = read_file(path)
    except OSError:
        return []
    found = []
    for text in content.splitlines():
        with suppress(ValueError):
            line = parse_json(text)
            whole = isinstance(line, dict) and isinstance(line.get("parameters"), dict)
            if whole and isinstance(line.get("search"), str) and isinstance(line.get("cell"), str):
                found.append(line)
    return found
