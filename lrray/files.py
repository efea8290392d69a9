"""Files that are whole or absent, whenever a process or a machine dies."""

from __future__ import annotations

import errno
import glob
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lrray.errors import LrrayError
from lrray.processes import lives, own_mark

_STALE_S = 3600
_WRITER = re.compile(r"^\..*\.([0-9a-f-]+)\.[0-9a-f]{8}\.tmp$")
"""Name of a file while it is written; names the process that does."""

_NAME_BYTES = 255
"""Longest name of one file or folder on the usual file systems."""
_PATH_BYTES = 4096 - 320
"""Longest folder in which files still have room for names of their own."""


MOST_BYTES = 1 << 29
"""Largest file that is read whole; a cell's record has some kilobytes."""


NO_FILE = (errno.EINVAL, errno.EFBIG, errno.ELOOP, errno.EISDIR, errno.ENXIO)
"""Errors of :func:`read_file` where something stands there that is no file to be read."""


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """A file's content; never waits for a pipe, and never fills the memory.

    Raises:
        OSError: there is none, it is no regular file, or it is larger than ``most`` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        if state.st_size > most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return file.read()


def lies_inside(folder: Path, name: str) -> bool:
    """Whether a name stands for something inside a folder, links followed."""
    try:
        return (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links in a circle; a name that no file can have
        return False


def working_folder() -> Path:
    """The folder that the command was given in.

    Raises:
        LrrayError: it has been removed.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise LrrayError(
            "the working folder", "is no longer there", fix="cd into one that is"
        ) from None


def check_path(what: str, path: Path) -> None:
    """Refuses a folder that programs beside Python cannot be told, or that files have no room in.

    Raises:
        LrrayError: its name is not UTF-8, or it is too long.
    """
    path = working_folder() / path
    try:
        length = len(str(path).encode())
    except UnicodeEncodeError:
        if _is_utf8(os.fsencode(path)):
            raise LrrayError(
                what, f"has a name that this locale ({_locale()}) cannot write",
                fix="set LC_ALL=C.UTF-8 or PYTHONUTF8=1",
            ) from None  # fmt: skip
        shown = str(path).encode(errors="backslashreplace").decode()
        raise LrrayError(
            what, "must have a name in UTF-8, which Ray needs", got=shown, fix="rename it"
        ) from None
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if length > _PATH_BYTES or longest > _NAME_BYTES:
        most = f"at most {_NAME_BYTES} bytes a name and {_PATH_BYTES} in all"
        raise LrrayError(what, f"is too long: {most}", got=str(path), fix="choose a shorter path")


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _locale() -> str:
    """What the environment says, as the C library reads it."""
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    return next((f"{name}={os.environ[name]}" for name in names if os.environ.get(name)), "C")


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path beside ``target`` to write to; its file takes the target's name when all is on disk.

    Makes the folder. Where the block raises, nothing is left and an old file stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    name = f".{target.name}.{own_mark()}.{secrets.token_hex(4)}.tmp"
    temporary = target.with_name(name)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(target.parent)


def remove_stale(target: Path) -> None:
    """Removes what killed writers of ``target`` left behind."""
    _remove_abandoned(target.parent.glob(f".{glob.escape(target.name)}.*.tmp"))


def remove_stale_below(folder: Path) -> None:
    """Removes what killed writers of any file left behind, at any depth."""
    _remove_abandoned(path for path in files_below(folder) if path.name.endswith(".tmp"))


def _remove_abandoned(paths: Iterable[Path]) -> None:
    """Of a writer on another host is known only that files grow until they are whole."""
    for path in paths:
        if not (mark := _WRITER.search(path.name)):
            continue
        with suppress(FileNotFoundError):  # another process does the same
            alive = lives(mark[1])
            if alive is None:
                alive = time.time() - path.stat().st_mtime <= _STALE_S
            if not alive:
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
