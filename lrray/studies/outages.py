"""What ends a cell through no fault of its own: it goes on later, from its checkpoint."""

from __future__ import annotations

import errno
import os

from lrray.errors import DiskFullError, LrrayError
from lrray.studies.storage import StorageError

NO_ROOM = "no_room"
"""Key under which a trial tells the driver that its disk is full, and why it thinks so."""


def is_outage(error: BaseException) -> bool:
    """Whether a storage is away or a disk is full."""
    return isinstance(error, StorageError) or is_full_disk(error)


def is_full_disk(error: BaseException) -> bool:
    """Whether a disk, or the share of it that the user may take, is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
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
