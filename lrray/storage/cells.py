"""What a worker's cell exchanges with the storage: two wraps around what runs it.

Around a run that lasts in its own folder they do nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from lrray.errors import StorageError
from lrray.periodic import Rhythm
from lrray.results.folder import RunFolder
from lrray.storage.checkpoint import Snapshot
from lrray.storage.folder import StoredFolder
from lrray.studies.cell import Cell

PUSH_S = 5.0
"""How often curves, and checkpoints that were committed meanwhile, are copied."""

Commit = Callable[[], None]
"""Says that the cell's checkpoint folder is whole now."""

_Result = TypeVar("_Result")


def checkpointed(
    run: Callable[[Cell, Commit], _Result], folder: RunFolder
) -> Callable[[Cell], _Result]:
    """Copies a cell's curves and the checkpoints that it commits, while it runs and at its end.

    Curves go first: they are never behind the checkpoint that a cell continues from. Where a cell
    commits nothing, a checkpoint of a single file is copied as it is found, and whatever is there
    when the cell returns or stops.
    """

    def run_here(cell: Cell) -> _Result:
        if not isinstance(folder, StoredFolder):
            return run(cell, _nothing)
        pusher = _Pusher(folder, cell.id)
        rhythm = Rhythm(pusher.push, PUSH_S)
        rhythm.start()
        try:
            result = run(cell, pusher.commit)
        except KeyboardInterrupt:  # stopped, with a checkpoint to keep
            rhythm.stop()
            pusher.push(last=True)
            raise
        finally:
            rhythm.stop()
        pusher.push(last=True)
        folder.push(str(path.relative_to(folder.path)) for path in _products(folder, cell.id))
        return result

    return run_here


def handed_over(
    run: Callable[[Cell], _Result], folder: RunFolder, computes_here: bool = True
) -> Callable[[Cell], _Result]:
    """Begins a cell with what an earlier try left in the storage, and leaves all of it there.

    Args:
        run: runs the cell and follows it.
        folder: the run's.
        computes_here: rather than waiting for other nodes that do.
    """

    def run_handed_over(cell: Cell) -> _Result:
        if not isinstance(folder, StoredFolder):
            return run(cell)
        if folder.load_cell(cell.id) is not None:  # computed here, but the storage was away
            folder.push([f"cells/{cell.id}.json"])
        _take_over(folder, cell.id, computes_here, exactly=False)
        result = run(cell)
        tracked = [folder.path / "tensorboard" / cell.id, *folder.path.glob(f"wandb/*{cell.id}*")]
        for place in tracked:
            files = (p for p in place.rglob("*") if p.is_file() and not p.is_symlink())
            folder.push(str(path.relative_to(folder.path)) for path in files)
            shutil.rmtree(place, ignore_errors=True)
        _clear(folder, cell.id)
        return result

    return run_handed_over


@contextmanager
def shared_by_ranks(folder: RunFolder, cell_id: str) -> Iterator[None]:
    """Within it, one of several workers of a cell has the same checkpoint as the others."""
    if not isinstance(folder, StoredFolder):
        yield
        return
    _take_over(folder, cell_id, computes_here=True, exactly=True)
    yield
    _clear(folder, cell_id)


def fetch_curves(folder: RunFolder, cell_id: str) -> None:
    """Brings here the curves that other nodes have drawn."""
    if isinstance(folder, StoredFolder):
        folder.fetch([f"metrics/{cell_id}.jsonl"])


def _take_over(folder: StoredFolder, cell_id: str, computes_here: bool, exactly: bool) -> None:
    changed = computes_here and Snapshot(folder.store, folder.path, cell_id).pull(exactly)
    if changed or not (folder.path / "metrics" / f"{cell_id}.jsonl").exists():
        fetch_curves(folder, cell_id)


def _clear(folder: StoredFolder, cell_id: str) -> None:
    """Frees the space that a cell took on this node."""
    Snapshot(folder.store, folder.path, cell_id).clear()
    names = (f"cells/{cell_id}.json", f"metrics/{cell_id}.jsonl", f"attempts/{cell_id}.json")
    for path in [*(folder.path / name for name in names), *_products(folder, cell_id)]:
        path.unlink(missing_ok=True)


def _products(folder: StoredFolder, cell_id: str) -> list[Path]:
    """What an ended cell keeps beside its record and curves: generated texts, weights."""
    names = (f"samples/{cell_id}*.jsonl", f"weights/{cell_id}*/*.safetensors")
    return [path for name in names for path in folder.path.glob(name)]


def _nothing() -> None:
    """All that is committed is where it lasts."""


class _Pusher:
    """Copies a running cell's curves and checkpoints where there are new ones."""

    def __init__(self, folder: StoredFolder, cell_id: str) -> None:
        self._store, self._name = folder.store, f"metrics/{cell_id}.jsonl"
        self._curves = folder.path / self._name
        self._pushed = 0
        self._snapshot = Snapshot(folder.store, folder.path, cell_id)
        self._commits = False

    def commit(self) -> None:
        """Called by the cell."""
        self._commits = True
        with suppress(FileNotFoundError):  # a file that came or went meanwhile: not whole yet
            self._snapshot.commit()

    def push(self, last: bool = False) -> None:
        """Copies what is new."""
        try:
            if not self._commits and (last or self._snapshot.is_one_file()):
                self._snapshot.commit()
            self._snapshot.push(self._push_curves)
        except (StorageError, OSError):  # another time
            if last:
                raise

    def _push_curves(self) -> None:
        try:
            content = self._curves.read_bytes()
        except FileNotFoundError:
            return
        if len(content) != self._pushed:
            self._store.put(self._name, content)
            self._pushed = len(content)
