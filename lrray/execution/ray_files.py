"""Where a Ray that runs for one user alone keeps its files, and who may read them.

Ray makes its session's folder with mode 0777 and its token's file with 0644, so that others on the
machine could read the logs of cells, swap its sockets and send it work. Here both lie behind a
folder of mode 0700.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lrray.errors import LrrayError
from lrray.scratch import is_used

_SOCKET_PATH = 107
"""Most bytes of a socket's path on Linux."""
_INSIDE = len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.1")
"""What Ray adds to its folder for the longest of its sockets."""
_NEEDED_BYTES = 64 * 2**20
"""Room that Ray's logs take at least."""
_DEAD_S = 3600
"""A living session writes into its logs every few seconds."""


def private_folder() -> Path:
    """A folder for Ray's sessions that no other user can look into; old sessions are removed.

    It lies in RAY_TMPDIR, else in TMPDIR, else where temporary files go otherwise: the first of
    them that can be written, has room, and is short enough for sockets.

    Raises:
        LrrayError: there is none; what is wrong with each.
    """
    wrong: list[str] = []
    for base in _candidates():
        try:
            folder = _private(base) / "ray"
            _check(folder)
            folder.mkdir(exist_ok=True)
        except OSError as error:
            wrong.append(f"{base}: {error.strerror or error}")
            continue
        _remove_dead(folder)
        return folder
    raise LrrayError(
        "TMPDIR", f"no folder is fit for Ray's files: {'; '.join(wrong)}",
        fix=f"set RAY_TMPDIR to a folder with room, of at most {_longest_base()} characters",
    )  # fmt: skip


def private_token(folder: Path) -> None:
    """Sees to it that Ray finds a token, and that the file that holds it is the user's alone.

    Args:
        folder: of mode 0700, for the token of a user whose home cannot be written.
    """
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return
    token = Path.home() / ".ray" / "auth_token"
    try:
        _make_token(token)
    except OSError:
        token = folder / "auth_token"
        _make_token(token)
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)


def _make_token(path: Path) -> None:
    """Makes the file where there is none, and takes it from everyone else's eyes."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        whole = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, secrets.token_hex(32).encode())
            with suppress(FileExistsError):  # another driver was faster
                os.link(whole, path)
        finally:
            os.close(descriptor)
            whole.unlink()
    mode = path.stat().st_mode
    if stat.S_IMODE(mode) & 0o077:
        path.chmod(0o600)


def _candidates() -> Iterator[Path]:
    given = [os.environ.get(name) for name in ("RAY_TMPDIR", "TMPDIR")]
    for name in dict.fromkeys([*filter(None, given), "/tmp", "/var/tmp", "/dev/shm"]):
        yield Path(name).absolute()


def _longest_base() -> int:
    return _SOCKET_PATH - _INSIDE - len(f"/{_own_name()}/ray")


def _own_name() -> str:
    return f"lrr-{os.geteuid()}"


def _private(base: Path) -> Path:
    """The user's own folder in ``base``; another's, or a link that waits under its name, is not."""
    if len(os.fsencode(base)) > _longest_base():
        raise OSError(None, "too long for the sockets in it")
    base.mkdir(parents=True, exist_ok=True)
    folder = base / _own_name()
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return Path(tempfile.mkdtemp(prefix="lrr-", dir=base))
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)
    return folder


def _check(folder: Path) -> None:
    """Raises OSError where files cannot be made or have no room."""
    with tempfile.TemporaryFile(dir=folder.parent) as file:
        file.write(b"\0" * 4096)
        file.flush()
    if shutil.disk_usage(folder.parent).free < _NEEDED_BYTES:
        raise OSError(None, "No space left on device")


def _remove_dead(folder: Path) -> None:
    """Removes sessions whose processes are gone, whoever ended them."""
    for session in folder.glob("session_*_*"):
        if session.is_symlink() or _is_alive(session):
            continue
        shutil.rmtree(session, ignore_errors=True)


def _is_alive(session: Path) -> bool:
    """By its driver's mark; else, of a driver that has not left one yet, by its logs."""
    if (used := is_used(session)) is not None:
        return used
    newest = 0.0
    for path in (session, *session.glob("logs/*")):
        with suppress(OSError):
            newest = max(newest, path.stat().st_mtime)
    return time.time() - newest < _DEAD_S
