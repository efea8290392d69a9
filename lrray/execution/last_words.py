"""What a cell wrote to its worker's output, for the record of one that took its worker down."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

LINES, BYTES = 20, 8000
"""Most of either output that is kept."""


def outputs() -> list[tuple[str, int]]:
    """The files that this process writes its output to, and how much is in them."""
    found = []
    for number in (1, 2):
        with suppress(OSError):
            state = os.fstat(number)
            if stat.S_ISREG(state.st_mode):
                found.append((str(Path(f"/proc/self/fd/{number}").readlink()), state.st_size))
    return found


def last_words(written: Iterable[Sequence[str | int]]) -> str:
    """The last lines that have come to the :func:`outputs` of a process on this node."""
    with suppress(OSError, ValueError, AttributeError):  # a cell may have closed it
        sys.stdout.flush()
    parts = []
    for path, begun_at in written:
        with suppress(OSError), Path(str(path)).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(int(begun_at), end - BYTES))
            lines = file.read().decode(errors="backslashreplace").splitlines()[-LINES:]
            parts += [line for line in lines if not line.startswith(":")]  # Ray's own marks
    return "\n".join(parts)
