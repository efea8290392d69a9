"""Errors that a user can mend: one line that says where, the rule, the value and the fix."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_NOTHING = object()

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""A disk, a user's share of it, and the size that the system lets a file have: limits of the
machine, whatever cell runs into them."""


class LrrayError(Exception):
    """A mistake in what the user gave, told in one line.

    Args:
        where: file, key path or command-line word that holds the mistake.
        rule: what must hold there.
        got: the offending value, where showing it helps.
        fix: what to write or do instead.

    The command line prints ``str(error)`` and exits with ``exit_code``; no traceback is shown.
    """

    exit_code = 2

    def __init__(self, where: str, rule: str, *, got: object = _NOTHING, fix: str = "") -> None:
        self.where, self.rule, self.fix = where, rule, fix
        self.has_value = got is not _NOTHING
        self.got = got if self.has_value else None
        super().__init__(self.line())

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions pickle their ``args`` alone; errors must come back whole from a worker.
        return _restored, (type(self), self.args, self.__dict__)

    def line(self) -> str:
        """The whole message on one line."""
        text = f"{self.where}: {self.rule}" if self.where else self.rule
        if self.has_value:
            text += f", but got {shorten(self.got)}"
        if self.fix:
            text += f" (fix: {self.fix})"
        return " ".join(text.split())


class ManyErrors(LrrayError):
    """Several independent mistakes, one line each."""

    def __init__(self, errors: list[LrrayError]) -> None:
        self.errors = errors
        self.where, self.rule, self.fix = "", f"{len(errors)} mistakes", ""
        self.has_value, self.got = False, None
        Exception.__init__(self, "\n".join(str(error) for error in errors))

    def line(self) -> str:
        """All messages, a line each."""
        return str(self)


class DiskFullError(LrrayError):
    """A file has no room: the machine's trouble, not that of what was given.

    Its cause is the ``OSError``, as far as it has not come from another process.
    """

    exit_code = 1


def cannot_write(path: Path, what: str, error: Exception) -> LrrayError:
    """The one line for a failed write of ``what`` to ``path``: a :class:`DiskFullError` or another.

    Libraries that write by themselves name the system's error number in their message alone.
    """
    number = error.errno if isinstance(error, OSError) else None
    found = re.search(r"(?:os error|errno =) (\d+)", str(error))
    if number is None and found:
        number = int(found.group(1))
    if number not in _NO_ROOM:
        return LrrayError(str(path), f"{what} cannot be written: {error}", fix="use another folder")
    full = DiskFullError(
        str(path), f"{what} cannot be written: {os.strerror(number)}", fix="free some space"
    )
    full.__cause__ = error if isinstance(error, OSError) else OSError(number, str(error))
    return full


def _restored(kind: type[LrrayError], args: tuple[Any, ...], state: dict[str, Any]) -> LrrayError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


def shorten(value: object, limit: int = 80) -> str:
    """``repr(value)`` cut to ``limit`` characters, so that an error stays on one line."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """``did you mean 'x'?`` for the closest option, else the list of all of them."""
    options = sorted(map(str, options))
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(options) if options else "nothing is known here"


class StorageError(LrrayError):
    """The storage did not take or give what it was asked for; no cell is to blame."""


NO_ROOM = "no_room"
"""Key under which a trial tells the driver that its disk is full, and why it thinks so."""


def is_outage(error: BaseException) -> bool:
    """Whether a storage is away or a disk is full."""
    return isinstance(error, StorageError) or is_full_disk(error)


def is_full_disk(error: BaseException) -> bool:
    """Whether the machine has no room for a file."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    return isinstance(error, DiskFullError)


def no_room(error: Exception) -> dict[str, str]:
    """What a trial tells the driver about a full disk."""
    if isinstance(error, LrrayError):
        return {NO_ROOM: f"{os.uname().nodename}: {error.where}: {error.rule}"}
    return {NO_ROOM: f"{os.uname().nodename}: {error}"}


def told_no_room(text: str) -> DiskFullError:
    """The error that ends the study, by what :func:`no_room` told."""
    where, _, rule = text.partition(": ")
    return DiskFullError(where, rule, fix="make room, then run the same command with --resume")
