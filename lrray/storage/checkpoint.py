"""A cell's checkpoint folder in the storage: whole as it was when it was committed, or not at all.

Who writes a checkpoint commits it: the files that are there then are linked aside, which takes no
time, and copied later while the cell goes on. ``checkpoints/<id>.json`` names the objects of the
newest checkpoint that was copied; they lie below ``checkpoints/<id>/`` under names that are never
used twice. So a reader sees one checkpoint or the one before, whatever dies between.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrray.files import files_below, write_whole
from lrray.storage.objects import Store, file_in

_TRIES = 5
_Files = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Commit:
    """A checkpoint that was committed and is not in the storage yet."""

    folder: Path
    """Links to its files."""
    files: _Files
    """Size and time of each, and its object once it is copied."""

    def drop(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


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
        self._pending: _Commit | None = None
        self._exchange = threading.Lock()  # a cell commits while a thread copies

    def pull(self, exactly: bool = False) -> bool:
        """Makes the folder what the storage holds; whether it held something else before.

        What the cell has written here since the last exchange stays: it is newer. But not where
        several nodes compute a cell, and must begin alike: ``exactly``.
        """
        with self._one_at_a_time():
            self._sweep()
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
        same = all(_is_same(facts, self._known.get(name)) for name, facts in listed.items())
        return not same or listed.keys() != self._known.keys()

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

    def commit(self) -> None:
        """Notes that the folder is whole now; of several commits only the newest is copied."""
        aside = self.path.with_name(f".{self.cell_id}.{secrets.token_hex(4)}.commit")
        files = _listing(self.path)
        for name in files:
            link = aside / name
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(self.path / name, link)
        self._put_aside(_Commit(aside, files))

    def is_one_file(self) -> bool:
        """Whether all that is there is a single file, which is whole whenever it is read."""
        return len(_listing(self.path)) == 1

    def _put_aside(self, commit: _Commit, again: bool = False) -> None:
        with self._exchange:
            if again and self._pending is not None:  # a newer one came
                commit.drop()
                return
            if self._pending is not None:
                self._pending.drop()
            self._pending = commit

    def push(self, first: Callable[[], None] = lambda: None) -> None:
        """Copies what was committed last, then names it as the newest.

        Args:
            first: what is to last before the checkpoint does; called after this was copied.
        """
        with self._exchange:
            commit, self._pending = self._pending, None
        if commit is None:
            first()
            return
        try:
            whole = self._copy(commit)
            first()
            if whole and commit.files != self._known:
                self._name(commit.files)
        except BaseException:
            self._put_aside(commit, again=True)
            raise
        commit.drop()

    def _copy(self, commit: _Commit) -> bool:
        """Copies files; whether none was changed in place since it was committed."""
        for name, facts in commit.files.items():
            if "object" in facts:  # before the storage went away
                continue
            if _is_same(facts, self._known.get(name)):
                facts["object"] = self._known[name]["object"]
                continue
            target = f"{self.name}/{name}~{secrets.token_hex(4)}"
            self.store.upload(target, commit.folder / name)
            if _facts(commit.folder / name) != facts:
                return False
            facts["object"] = target
        return True

    def _name(self, files: _Files) -> None:
        manifest = json.dumps({"files": files}, indent=1).encode()
        self.store.put(f"{self.name}.json", manifest)
        write_whole(self._mark, manifest)
        kept = {facts["object"] for facts in files.values()}
        for facts in self._known.values():
            if facts["object"] not in kept:
                self.store.remove(facts["object"])
        self._known = files

    def clear(self) -> None:
        """Leaves nothing of an ended cell on this node."""
        self.forget()
        self._sweep()
        self._lock.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Removes what killed workers had put aside."""
        for path in self.path.parent.glob(f".{self.cell_id}.*.commit"):
            shutil.rmtree(path, ignore_errors=True)

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


def _is_same(facts: Mapping[str, Any], known: Mapping[str, Any] | None) -> bool:
    return known is not None and known.items() >= facts.items()
