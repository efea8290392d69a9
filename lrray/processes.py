"""Which process is meant, and whether it lives: a pid alone says neither."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path


@cache
def boot() -> str:
    """Names this run of the kernel; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def namespace() -> str:
    """Names the space in which this process's pid means something."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def process_start(pid: int) -> str | None:
    """Start time of a living process in clock ticks since boot, or None."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def own_mark() -> str:
    """Names this process, in letters that a file's name may have."""
    return f"{_kernel()}-{os.getpid()}-{process_start(os.getpid())}"


def lives(mark: str) -> bool | None:
    """Whether a process lives, by its :func:`own_mark`; None where its pid says nothing here."""
    kernel, _, rest = mark.partition("-")
    pid, _, start = rest.partition("-")
    if not boot() or kernel != _kernel() or not pid.isdecimal():
        return None
    return process_start(int(pid)) == start


def _kernel() -> str:
    return hashlib.sha256(f"{boot()} {namespace()}".encode()).hexdigest()[:8]
