"""Folders for files of no worth: what killed processes left behind goes at the next start.

The system holds a lock in each for as long as a process uses it, in whatever container: a folder
whose lock is free is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_USED = ".used"
"""The file that is locked."""

_held: list[int] = []
"""Locks that end with this process."""


@contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """A folder for temporary files, removed at the end; and those that dead processes left, now.

    Args:
        purpose: a word of its name.
    """
    prefix = f"lrray-{purpose}-"
    remove_unused(Path(tempfile.gettempdir()), f"{prefix}*")
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        descriptor = _lock(Path(name))
        try:
            yield Path(name)
        finally:
            os.close(descriptor)


def hold(folder: Path) -> None:
    """Marks a folder as used for as long as this process lives; others may do so too."""
    with suppress(OSError):  # no room, or no locks: its age must tell
        _held.append(_lock(folder))


def remove_unused(base: Path, pattern: str, after_s: float = 0.0) -> None:
    """Removes folders of this user's below ``base`` that no process uses any longer.

    One that was never marked as used is left alone.

    Args:
        base: where they lie.
        pattern: of their names.
        after_s: seconds since their last change, where users come and go.
    """
    for folder in base.glob(pattern):
        with suppress(OSError):  # another process removes it too
            state = folder.lstat()
            own = stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid()
            if own and time.time() - state.st_mtime >= after_s and is_used(folder) is False:
                shutil.rmtree(folder, ignore_errors=True)


def is_used(folder: Path) -> bool | None:
    """Whether a process uses a folder; None where none has ever said so."""
    try:
        descriptor = os.open(folder / _USED, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or there are no locks here
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(folder: Path) -> int:
    """The file is named when it is locked: nobody finds it free before."""
    own = folder / f"{_USED}.{os.getpid()}"
    target = folder / _USED
    if not target.exists():
        descriptor = os.open(own, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        with suppress(FileExistsError):
            os.link(own, target)
            own.unlink()
            return descriptor
        own.unlink()
        os.close(descriptor)
    descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor
