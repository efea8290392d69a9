"""One driver per results folder: a second one is refused, a dead one's lock is recognised."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from lrray.errors import LrrayError
from lrray.periodic import Rhythm

HEARTBEAT_S = 10.0
STALE_S = 60.0
"""A lock from another host that was not renewed for this long belongs to a dead driver."""


class FolderLock:
    """Holds ``<folder>/lock.json`` while a driver works in the folder.

    Raises:
        LrrayError: on entry, where another driver holds it; names its host and pid.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock.json"
        self._heartbeat = Rhythm(self._renew, HEARTBEAT_S)

    def __enter__(self) -> FolderLock:
        with self._opened() as file:
            self._refuse_living(file)
            file.seek(0)
            file.truncate()
            json.dump(self_description(), file)
        self._heartbeat.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._heartbeat.stop()
        self.path.unlink(missing_ok=True)

    @contextmanager
    def _opened(self) -> Iterator[TextIO]:
        """The lock's file, read and written by one process at a time."""
        while True:
            try:
                file = self.path.open("a+")
            except OSError as error:
                raise LrrayError(
                    str(self.path), f"cannot be written: {error.strerror}",
                    fix="make the folder writable or give another --out",
                ) from None  # fmt: skip
            with file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_in_place(file):
                    yield file
                    return

    def _is_in_place(self, file: TextIO) -> bool:
        """Whether the file was not removed while this process waited for it."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def _refuse_living(self, file: TextIO) -> None:
        file.seek(0)
        holder = _living_holder(file)
        if holder is not None:
            raise LrrayError(
                str(self.path.parent),
                f"another driver works here: host {holder['host']}, pid {holder['pid']}",
                fix="wait for it, or stop it first",
            )

    def _renew(self) -> None:
        os.utime(self.path)


def is_held(folder: Path) -> bool:
    """Whether a living driver works in the folder; only reads."""
    try:
        with (folder / "lock.json").open() as file:
            return _living_holder(file) is not None
    except OSError:
        return False


def _living_holder(file: TextIO) -> dict[str, Any] | None:
    """The driver that a lock's file names, or None where it is dead or the file is not whole."""
    age_s = time.time() - os.fstat(file.fileno()).st_mtime
    try:
        holder = dict(json.load(file))
        if holder["host"] != os.uname().nodename:
            return holder if age_s <= STALE_S else None
        return None if is_dead_here(holder) else holder
    except (ValueError, KeyError, TypeError):
        return None


def is_dead_here(holder: Mapping[str, Any]) -> bool:
    """Whether a driver of this very machine (see :func:`self_description`) lives no longer."""
    if holder["host"] != os.uname().nodename:
        return False
    # A pid may be used again: the start time tells the new process from the old.
    start = _process_start(int(holder["pid"]))
    return start is None or start != holder["started"]


def self_description() -> dict[str, Any]:
    """What a lock says about the driver that holds it."""
    pid = os.getpid()
    return {"host": os.uname().nodename, "pid": pid, "started": _process_start(pid)}


def _process_start(pid: int) -> str | None:
    """Start time of a living process in clock ticks since boot, or None."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
