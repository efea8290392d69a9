"""One driver per results folder: a second one is refused, a dead one's lock is free at once.

The system holds ``driver.lock`` for the driver's life. ``lock.json`` says who that is; the time of
its last change is the driver's heartbeat, which decides where the system's lock does not reach:
between hosts, and between mounts, that share a folder but no locks.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from lrray.errors import LrrayError, is_full_disk
from lrray.files import write_whole
from lrray.json_text import read_json
from lrray.periodic import Rhythm
from lrray.processes import boot, namespace, process_start

HEARTBEAT_S = 10.0
STALE_S = 60.0
"""A driver of which only the heartbeat is known and that was silent for this long is dead."""

NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
"""What file systems without locks answer."""

_NAMED_S = 2.0
"""How long a driver that has the system's lock may take to write its name, or to go."""


class FolderLock:
    """Holds a folder while a driver works in it.

    Raises:
        LrrayError: on entry, where another driver holds it; names its host and pid.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock.json"
        self._lock = FileLock(folder / "driver.lock", fallback_to_soft=False, thread_local=False)
        self._heartbeat = Rhythm(self._renew, HEARTBEAT_S)

    def __enter__(self) -> FolderLock:
        try:
            self._acquire()
            file = self._file()
            holder = _read(self.path)
            # A driver that locked this very file on this kernel would still have it, if it lived.
            ended = file is not None and holder is not None and holder.get("file") == file
            if holder is not None and not ended and _is_alive(holder, self.path):
                self._refuse(holder)
            write_whole(self.path, json.dumps({**self_description(), "file": file}))
        except OSError as error:
            self._lock.release()
            if is_full_disk(error):
                raise
            raise LrrayError(
                str(self.path), f"cannot be written: {error.strerror}",
                fix="make the folder writable or give another --out",
            ) from None  # fmt: skip
        except BaseException:
            self._lock.release()
            raise
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
        Path(self._lock.lock_file).unlink(missing_ok=True)  # who waits for it sees that it is gone
        self._lock.release()

    def _acquire(self) -> None:
        """Takes the system's lock, where this file system has one."""
        deadline = time.monotonic() + _NAMED_S
        while True:
            try:
                self._lock.acquire(timeout=0)
                return
            except Timeout:
                holder = _read(self.path)
                late = time.monotonic() > deadline
                if late or (holder is not None and _is_alive(holder, self.path)):
                    self._refuse(holder or {"host": "unknown", "pid": "unknown"})
                time.sleep(0.05)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                return  # the heartbeat decides

    def _file(self) -> str | None:
        """Names the locked file on this kernel; None where the system holds no lock."""
        if not self._lock.is_locked:
            return None
        state = Path(self._lock.lock_file).stat()
        return f"{boot()} {state.st_dev} {state.st_ino}"

    def _refuse(self, holder: Mapping[str, Any]) -> None:
        raise LrrayError(
            str(self.path.parent),
            f"another driver works here: host {holder['host']}, pid {holder['pid']}",
            fix="wait for it, or stop it first",
        )

    def _renew(self) -> None:
        os.utime(self.path)


def is_held(folder: Path) -> bool:
    """Whether a living driver works in the folder; only reads."""
    path = folder / "lock.json"
    holder = _read(path)
    return holder is not None and _is_alive(holder, path)


def _read(path: Path) -> dict[str, Any] | None:
    """What a lock says, or None where there is none or it is not whole."""
    try:
        holder = dict(read_json(path))
        return {**holder, "host": holder["host"], "pid": int(holder["pid"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_alive(holder: Mapping[str, Any], path: Path) -> bool:
    lives = lives_here(holder)
    if lives is not None:
        return lives
    try:
        return time.time() - path.stat().st_mtime <= STALE_S
    except FileNotFoundError:
        return False


def lives_here(holder: Mapping[str, Any]) -> bool | None:
    """Whether a driver (see :func:`self_description`) lives; None where its pid says nothing here.

    Containers of one machine, and machines made from one image, may share a host name: what counts
    is the kernel's run and the namespace of its processes.
    """
    own = self_description()
    if not own["boot"] or any(holder.get(name) != own[name] for name in ("boot", "pids")):
        return None
    # A pid may be used again: the start time tells the new process from the old.
    start = process_start(int(holder["pid"]))
    return start is not None and start == holder.get("started")


def self_description() -> dict[str, Any]:
    """What a lock says about the driver that holds it."""
    pid = os.getpid()
    return {
        "host": os.uname().nodename,
        "pid": pid,
        "started": process_start(pid),
        "boot": boot(),
        "pids": namespace(),
    }
