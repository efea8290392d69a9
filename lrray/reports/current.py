"""Whether a run's report is that of its results as they are, so that it need not be written again.

Figures take most of the time of a report. What a report was made from is noted beside it by the
size and time of every file that a run's report may read, and by the code that wrote it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import lrray
from lrray.results.folder import RunFolder
from lrray.studies.cell import digest

_NOTE = "report.json"
"""File that names what a report was made from, and the report's files."""

_NOT_READ = frozenset((
    "attempts", "checkpoints", "code", "quarantine", "shared", "tensorboard", "wandb", "weights",
    "driver.lock", "lock.json", "stop", "tags.json",
))  # fmt: skip
"""Folders and files of a run that no report reads."""


def current_report(path: Path, module: str) -> list[Path] | None:
    """The files of a run's report, or None where that is to be written.

    Args:
        path: of the run's folder.
        module: that describes the run's kind.
    """
    try:
        note = json.loads((path / _NOTE).read_bytes())
        written, files = set(note["written"]), [path / str(name) for name in note["files"]]
        whole = all((path / str(name)).is_file() for name in written)
        same = note["inputs"] == _inputs(path, module, written)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return files if whole and same else None


def note_report(path: Path, module: str, files: Sequence[Path], written: Sequence[str]) -> None:
    """Notes what a report was made from.

    Args:
        path: of the run's folder.
        module: that describes the run's kind.
        files: the page and its figures.
        written: names of all files that the report consists of, which it is not made from.
    """
    note = {
        "inputs": _inputs(path, module, {*written}),
        "files": [file.name for file in files],
        "written": list(written),
    }
    RunFolder(path).write_json(_NOTE, note)


def _inputs(path: Path, module: str, written: set[str]) -> str:
    own = {*written, _NOTE}
    stamps = sorted(stamp for stamp in _stamps(path, "") if stamp[0] not in own)
    return digest([lrray.__version__, sorted(_code(module)), stamps])


def _stamps(path: Path, below: str) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of every file that a report may read."""
    for entry in os.scandir(path):
        name = f"{below}{entry.name}"
        if name in _NOT_READ:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _stamps(Path(entry.path), f"{name}/")
        else:
            state = entry.stat(follow_symlinks=False)
            yield name, state.st_size, state.st_mtime_ns


def _code(module: str) -> Iterator[tuple[str, int]]:
    """Time of lrray's own sources, which change where they are worked on, and of the module's."""
    package = Path(lrray.__file__).parent
    files = [*package.rglob("*.py"), *(package / "reports" / "templates").iterdir()]
    spec = find_spec(module)
    if spec is not None and spec.origin is not None:
        files.append(Path(spec.origin))
    for file in files:
        yield str(file), file.stat().st_mtime_ns
