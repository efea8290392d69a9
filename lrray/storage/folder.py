"""A run's folder whose lasting copy is in a storage; the folder on this machine is for working.

Names are the same in both: ``<storage>/<study>/<run>/cells/<id>.json``. Checkpoints are kept as
:mod:`lrray.storage.checkpoint` says. Data in ``shared/`` stay on their node: they can be made
again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lrray.errors import StorageError
from lrray.files import write_whole
from lrray.periodic import Rhythm
from lrray.results.folder import STOP, RunFolder
from lrray.storage.checkpoint import Snapshot
from lrray.storage.objects import Store, file_in
from lrray.studies.cell import digest

PUSH_S = 5.0
"""How often the checkpoint and the curves of a running cell are copied."""

_AT_ONCE = ("study.yaml", "cells/", "failures/", "attempts/", STOP)
"""What is in the storage as soon as it is written. By its study.yaml a run is found there."""

_REQUESTS = 16
"""Requests at a time where many files are wanted."""


@dataclass(frozen=True)
class StoredFolder(RunFolder):
    """A run's folder with a storage behind it."""

    store: Store
    """The run's objects."""
    lost: threading.Event = field(default_factory=threading.Event, compare=False)
    """Set where another driver has taken the run over."""

    def address(self) -> dict[str, str]:
        """What a worker on another node opens the run with."""
        return {"storage": self.store.address, "run": self.name}

    def hurried(self) -> StoredFolder:
        """The same with a single try of each request."""
        return replace(self, store=self.store.hurried())

    def write_text(self, name: str, text: str) -> Path:
        """Writes one file here and, where others wait for it, in the storage."""
        path = super().write_text(name, text)
        if name.startswith(_AT_ONCE):
            self.store.put(name, text.encode())
        return path

    def remove(self, name: str) -> None:
        """Removes one file in both places."""
        self.store.remove(name)
        super().remove(name)

    def prepare(self, cell_id: str, computes_here: bool = True, alone: bool = True) -> None:
        """Brings here what an earlier try of a cell left in the storage."""
        if self.load_cell(cell_id) is None:
            self._get(f"cells/{cell_id}.json")
        else:  # computed here, but the storage was away
            self.store.put(f"cells/{cell_id}.json", self.cell_path(cell_id).read_bytes())
        if not self._get(f"attempts/{cell_id}.json"):
            super().remove(f"attempts/{cell_id}.json")
        changed = computes_here and Snapshot(self.store, self.path, cell_id).pull(not alone)
        if changed or not (self.path / "metrics" / f"{cell_id}.jsonl").exists():
            self.regain(cell_id)

    def ask_to_stop(self, driver: str) -> None:
        """Asks a driver's running cells to end, unless the run is no longer this driver's."""
        if self.lost.is_set():
            raise StorageError(str(self.store), "another driver has taken it over")
        super().ask_to_stop(driver)

    def asked_to_stop(self, driver: str) -> bool:
        """Whether a driver's running cells are to end, as far as the storage can be asked."""
        try:
            return self.store.hurried().get(STOP) == driver.encode()
        except StorageError:
            return False

    def is_running(self, cell_id: str) -> bool:
        """Whether a worker anywhere has begun a cell and not yet ended it."""
        name = f"attempts/{cell_id}.json"
        if not self._get(name):
            super().remove(name)
        return super().is_running(cell_id)

    def regain(self, cell_id: str) -> None:
        """Brings here the curves that other nodes have drawn."""
        self._get(f"metrics/{cell_id}.jsonl")

    def _get(self, name: str) -> bool:
        content = self.store.get(name)
        if content is None:
            return False
        write_whole(self.path / name, content)
        return True

    @contextmanager
    def lasting(self, cell_id: str) -> Iterator[None]:
        """Within it, the cell's checkpoint and curves are copied now and then, and at the end.

        Then the texts that it has generated are copied as well.
        """
        pusher = _Pusher(self, cell_id)
        rhythm = Rhythm(pusher.push, PUSH_S)
        rhythm.start()
        try:
            yield
        except KeyboardInterrupt:  # stopped, with a checkpoint to keep
            rhythm.stop()
            pusher.push(last=True)
            raise
        finally:
            rhythm.stop()
        pusher.push(last=True)
        self.send(str(path.relative_to(self.path)) for path in self._texts(cell_id))

    def _texts(self, cell_id: str) -> list[Path]:
        return list(self.path.glob(f"samples/{cell_id}*.jsonl"))

    def leave(self, cell_id: str) -> None:
        """Copies what tracking wrote for an ended cell, and frees the space it took here."""
        tracked = [self.path / "tensorboard" / cell_id, *self.path.glob(f"wandb/*{cell_id}*")]
        for folder in tracked:
            for path in folder.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    self.store.upload(str(path.relative_to(self.path)), path)
            shutil.rmtree(folder, ignore_errors=True)
        self.clear(cell_id)

    def clear(self, cell_id: str) -> None:
        """Frees the space that a cell took on this node."""
        Snapshot(self.store, self.path, cell_id).clear()
        for name in ("cells/{}.json", "metrics/{}.jsonl", "attempts/{}.json"):
            super().remove(name.format(cell_id))
        for path in self._texts(cell_id):
            path.unlink()

    def receive(self, cell_ids: Iterable[str]) -> None:
        """Brings the records of ended cells here."""
        missing = [i for i in cell_ids if not self.cell_path(i).exists()]
        self._each(StoredFolder._get, [f"cells/{i}.json" for i in missing])

    def send(self, names: Iterable[str]) -> None:
        """Copies files of this folder to the storage."""
        self._each(lambda folder, name: folder.store.upload(name, folder.path / name), names)

    def fetch(self, names: Iterable[str]) -> None:
        """Copies objects of the storage to this folder."""
        places = {name: file_in(self.path, name) for name in names}
        self._each(lambda folder, name: folder.store.download(name, places[name]), places)

    def _each(self, do: Callable[[StoredFolder, str], Any], names: Iterable[str]) -> None:
        """Tries all at once; patience is left to this thread, which Ctrl-C can reach."""
        names, hurried = list(names), self.hurried()

        def done(name: str) -> bool:
            try:
                do(hurried, name)
            except StorageError:
                return False
            return True

        if len(names) < 2:
            failed = names
        else:
            with ThreadPoolExecutor(_REQUESTS) as pool:
                fine = dict(zip(names, pool.map(done, names), strict=True))
            failed = [name for name in names if not fine[name]]
        for name in failed:
            do(self, name)


class _Pusher:
    """Copies a running cell's curves and checkpoint where they have changed."""

    def __init__(self, folder: StoredFolder, cell_id: str) -> None:
        self._store, self._name = folder.store, f"metrics/{cell_id}.jsonl"
        self._curves = folder.path / self._name
        self._snapshot = Snapshot(folder.store, folder.path, cell_id)
        self._pushed = 0

    def push(self, last: bool = False) -> None:
        """Curves go first: they are never behind the checkpoint that a cell continues from."""
        try:
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


def open_folder(address: Mapping[str, str]) -> RunFolder:
    """The run's folder on this node, by what :meth:`RunFolder.address` gave the driver."""
    if "path" in address:
        return RunFolder(Path(address["path"]))
    place = node_folder() / digest(address["storage"])[:8] / address["run"]
    (place / "cells").mkdir(parents=True, exist_ok=True)
    folder = StoredFolder(place, Store(address["storage"]).below(address["run"]))
    if not (place / "tracking.json").exists():
        folder.fetch(["tracking.json"])
    return folder


def node_folder() -> Path:
    """Where a node's workers keep what they are working on."""
    import ray

    node = ray.get_runtime_context().get_node_id() if ray.is_initialized() else "driver"
    return Path(tempfile.gettempdir()) / f"lrray-{os.getuid()}" / node[:12]
