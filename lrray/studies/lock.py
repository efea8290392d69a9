"""One driver per results folder: a second one is refused, a dead one's lock is recognised."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from lrray.errors import LrrayError

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
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> FolderLock:
        while True:
            try:
                descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
                break
            except FileExistsError:
                self._refuse_living()
            except OSError as error:
                raise LrrayError(
                    str(self.path), f"cannot be written: {error.strerror}",
                    fix="make the folder writable or give another --out",
                ) from None  # fmt: skip
        with os.fdopen(descriptor, "w") as file:
            json.dump(_self_description(), file)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.path.unlink(missing_ok=True)

    def _refuse_living(self) -> None:
        """Removes a dead driver's lock; raises where the driver lives."""
        try:
            age = time.time() - self.path.stat().st_mtime
            holder = json.loads(self.path.read_text())
        except FileNotFoundError:
            return
        except ValueError:  # written half: its driver lives for a moment more or never again
            holder = {}
        if not _is_stale(holder, age):
            raise LrrayError(
                str(self.path.parent),
                f"another driver works here: host {holder.get('host')}, pid {holder.get('pid')}",
                fix="wait for it, or stop it first",
            )
        self.path.unlink(missing_ok=True)

    def _renew(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            try:
                os.utime(self.path)
            except OSError:
                return


def is_held(folder: Path) -> bool:
    """Whether a living driver works in the folder; only reads."""
    path = folder / "lock.json"
    try:
        age_s = time.time() - path.stat().st_mtime
        return not _is_stale(json.loads(path.read_text()), age_s)
    except (OSError, ValueError, KeyError):
        return False


def _self_description() -> dict[str, Any]:
    pid = os.getpid()
    return {"host": os.uname().nodename, "pid": pid, "started": _process_start(pid)}


def _is_stale(holder: dict[str, Any], age_s: float) -> bool:
    if holder.get("host") == os.uname().nodename:
        # A pid may be used again: the start time tells the new process from the old.
        return _process_start(int(holder["pid"])) != holder.get("started")
    return age_s > STALE_S


def _process_start(pid: int) -> str | None:
    """Start time of a living process in clock ticks since boot, or None."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
