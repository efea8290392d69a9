"""Small file systems that tests may fill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(path: Path, options: str) -> Iterator[bool]:
    """Mounts a tmpfs at a new folder while it lasts; whether this user may."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    done = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False)
    is_mounted = bool(done) and done.returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(path)], check=True)
