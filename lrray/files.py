"""Files that are whole or absent, whenever a process or a machine dies."""

from __future__ import annotations

import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STALE_S = 3600


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path beside ``target`` to write to; its file takes the target's name when all is on disk.

    Makes the folder. Where the block raises, nothing is left and an old file stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(target.parent)


def remove_stale(target: Path) -> None:
    """Removes what killed writers of ``target`` left behind an hour ago or more.

    A younger file may be another writer's, here or on another host, and grows until it is whole.
    """
    for path in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        with suppress(FileNotFoundError):  # another writer does the same
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink()


def write_whole(target: Path, content: bytes | str) -> None:
    """Writes a file through :func:`whole_file`; text as UTF-8."""
    with whole_file(target) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def files_below(folder: Path) -> Iterator[Path]:
    """Files at any depth; a folder that another process removes meanwhile is no error."""
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
