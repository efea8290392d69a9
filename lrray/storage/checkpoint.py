"""A cell's checkpoint folder in the storage: whole as it was at one moment, or not at all.

``checkpoints/<id>.json`` names the objects of the newest snapshot; they lie below
``checkpoints/<id>/`` under names that are never used twice. So a reader sees one snapshot or the
one before, whatever dies between.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrray.files import files_below, write_whole
from lrray.storage.objects import Store, file_in

_TRIES = 5
_Files = dict[str, dict[str, Any]]


@dataclass
class Snapshot:
    """The checkpoint of one cell, here and in the storage.

    Args:
        store: of the run.
        folder: the run's folder on this node.
        cell_id: whose checkpoint.
    """

    store: Store
    folder: Path
    cell_id: str
    _known: _Files = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"checkpoints/{self.cell_id}"
        self.path = self.folder / self.name
        # What this node last took from the storage or gave to it.
        self._mark = self.folder / "checkpoints" / f"{self.cell_id}.json"
        self._lock = self.folder / "checkpoints" / f".{self.cell_id}.lock"
        self._known = _files(_read(self._mark))

    def pull(self, exactly: bool = False) -> bool:
        """Makes the folder what the storage holds; whether it held something else before.

        What the cell has written here since the last exchange stays: it is newer. But not where
        several nodes compute a cell, and must begin alike: ``exactly``.
        """
        with self._one_at_a_time():
            for _ in range(_TRIES):
                manifest = self.store.get(f"{self.name}.json")
                if manifest == _read(self._mark) and not (exactly and self._changed_here()):
                    return False
                if manifest is None:
                    self.forget()
                    return True
                if self._take(manifest):
                    return True
        raise OSError(f"the checkpoint of {self.cell_id} changes while it is read")

    def _changed_here(self) -> bool:
        listed = _listing(self.path)
        return listed.keys() != self._known.keys() or bool(_differing(listed, self._known))

    def _take(self, manifest: bytes) -> bool:
        files = _files(manifest)
        targets = {name: file_in(self.path, name) for name in files}
        self.forget()
        for name, facts in files.items():
            target = targets[name]
            if not self.store.download(facts["object"], target):
                return False  # replaced by a newer snapshot meanwhile
            if target.stat().st_size != facts["size"]:
                return False
            os.utime(target, ns=(facts["mtime_ns"], facts["mtime_ns"]))
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self._mark, manifest)
        self._known = files
        return True

    def push(self, first: Callable[[], None] = lambda: None) -> None:
        """Copies what has changed here since the last exchange, then names it as the newest.

        Args:
            first: what is to last before the checkpoint does; called after this was copied.
        """
        files = self._copied()
        first()
        if files is None or files == self._known:
            return
        manifest = json.dumps({"files": files}, indent=1).encode()
        self.store.put(f"{self.name}.json", manifest)
        write_whole(self._mark, manifest)
        kept = {facts["object"] for facts in files.values()}
        for facts in self._known.values():
            if facts["object"] not in kept:
                self.store.remove(facts["object"])
        self._known = files

    def _copied(self) -> _Files | None:
        """Objects that together hold the folder at one moment, or None where it never rests."""
        files = dict(self._known)
        for _ in range(_TRIES):
            listed = _listing(self.path)
            changed = _differing(listed, files)
            for name in changed:
                with suppress(FileNotFoundError):
                    files[name] = self._copy(name)
            if len(changed) == 1 and set(_listing(self.path)) == set(listed):
                # A single file is whole whenever it is read: cells rename theirs into place.
                return {name: files[name] for name in listed if name in files}
            if _listing(self.path) == listed and not _differing(listed, files):
                return {name: files[name] for name in listed}
        return None

    def _copy(self, name: str) -> dict[str, Any]:
        """Copies one file; one that is replaced meanwhile is copied as it was."""
        steady = self.path.with_name(f".{secrets.token_hex(4)}.partial")
        os.link(self.path / name, steady)
        try:
            facts = _facts(steady)
            target = f"{self.name}/{name}~{secrets.token_hex(4)}"
            self.store.upload(target, steady)
            return {"object": target, **facts}
        finally:
            steady.unlink()

    def clear(self) -> None:
        """Leaves nothing of an ended cell on this node."""
        self.forget()
        self._lock.unlink(missing_ok=True)

    def forget(self) -> None:
        """Removes the copy on this node."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._mark.unlink(missing_ok=True)
        self._known = {}

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Workers of one cell on one node share its folder: the first takes, the others find."""
        lock = self._lock
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._known = _files(_read(self._mark))
            yield


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _files(manifest: bytes | None) -> _Files:
    return {} if manifest is None else dict(json.loads(manifest)["files"])


def _listing(folder: Path) -> _Files:
    """Size and time of every file; those still being written under a temporary name left out."""
    found: _Files = {}
    for path in sorted(files_below(folder)):
        name = path.relative_to(folder)
        if any(part.endswith((".partial", ".tmp")) for part in name.parts):
            continue
        with suppress(FileNotFoundError):
            if path.is_file():
                found[str(name)] = _facts(path)
    return found


def _facts(path: Path) -> dict[str, int]:
    state = path.stat()
    return {"size": state.st_size, "mtime_ns": state.st_mtime_ns}


def _differing(listed: Mapping[str, Mapping[str, int]], known: _Files) -> list[str]:
    """Names of files that are not known as they are now."""

    def same(name: str) -> bool:
        return name in known and known[name].items() >= listed[name].items()

    return [name for name in listed if not same(name)]
