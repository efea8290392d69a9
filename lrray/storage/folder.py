"""A run's folder whose lasting copy is in a storage; the folder on this machine is for working.

It offers the same calls as :class:`~lrray.results.folder.RunFolder`. Names are the same in both:
``<storage>/<study>/<run>/cells/<id>.json``. What a worker's cell leaves there is the matter of
:mod:`lrray.storage.cells`. Data in ``shared/`` stay on their node: they can be made again.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from lrray.errors import StorageError
from lrray.results.folder import STOP, RunFolder
from lrray.results.record import CellRecord
from lrray.scratch import hold, remove_unused
from lrray.storage.objects import Store, file_in
from lrray.studies.cell import digest

_AT_ONCE = ("study.yaml", "cells/", "failures/", "attempts/", "code/", STOP)
"""What is in the storage as soon as it is written. By its study.yaml a run is found there."""

_REQUESTS = 16
"""Requests at a time where many files are wanted."""

_UNUSED_S = 3600.0
"""How long a node's folder may have no worker before it is given up."""


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

    def once(self) -> StoredFolder:
        """The same with a single try of each request."""
        return replace(self, store=self.store.once())

    def read(self, name: str) -> bytes | None:
        """What the storage has under a name; others may have written it."""
        return self.store.get(name)

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

    def load_cells(self, cell_ids: Iterable[str]) -> list[CellRecord | None]:
        """Records of cells that may have ended elsewhere, brought here where they are not."""
        cell_ids = list(cell_ids)
        self.fetch(f"cells/{i}.json" for i in cell_ids if not self.cell_path(i).exists())
        return super().load_cells(cell_ids)

    def ask_to_stop(self, driver: str) -> None:
        """Asks a driver's running cells to end, unless the run is no longer this driver's."""
        if self.lost.is_set():
            raise StorageError(str(self.store), "another driver has taken it over")
        RunFolder.ask_to_stop(self.once(), driver)

    def asked_to_stop(self, driver: str) -> bool:
        """Whether a driver's running cells are to end, as far as the storage can be asked."""
        try:
            return self.store.once().get(STOP) == driver.encode()
        except StorageError:
            return False

    def is_running(self, cell_id: str) -> bool:
        """Whether a worker anywhere has begun a cell and not yet ended it."""
        return RunFolder.is_running(self.once(), cell_id)

    def push(self, names: Iterable[str]) -> None:
        """Copies files of this folder to the storage."""
        self._each(lambda folder, name: folder.store.upload(name, folder.path / name), names)

    def fetch(self, names: Iterable[str]) -> None:
        """Copies objects of the storage to this folder."""
        places = {name: file_in(self.path, name) for name in names}
        self._each(lambda folder, name: folder.store.download(name, places[name]), places)

    def _each(self, do: Callable[[StoredFolder, str], Any], names: Iterable[str]) -> None:
        """Tries all at once; patience is left to this thread, which Ctrl-C can reach."""
        names, once = list(names), self.once()

        def done(name: str) -> bool:
            try:
                do(once, name)
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


def open_folder(address: Mapping[str, str], node: str) -> RunFolder:
    """The run's folder on a node, by what :meth:`RunFolder.address` gave the driver."""
    if "path" in address:
        return RunFolder(Path(address["path"]))
    place = node_folder(node) / digest(address["storage"])[:8] / address["run"]
    (place / "cells").mkdir(parents=True, exist_ok=True)
    _use(node)
    folder = StoredFolder(place, Store(address["storage"]).below(address["run"]))
    if not (place / "tracking.json").exists():
        folder.fetch(["study.yaml", "tracking.json"])
    return folder


@cache
def _use(node: str) -> None:
    """Marks a node's folder as used by this process, and removes those of nodes that are gone."""
    own = node_folder(node)
    hold(own)
    remove_unused(own.parent, "*", after_s=_UNUSED_S)


def node_folder(node: str) -> Path:
    """Where a node's workers keep what they are working on."""
    return Path(tempfile.gettempdir()) / f"lrray-{os.getuid()}" / node[:12]
