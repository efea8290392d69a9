"""Starts the board as a user does and stops it like Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAIN = "from lrray.cli.app import main; main()"


@contextmanager
def running_board(results: Path) -> Iterator[str]:
    """The address of a board over ``results``, token included."""
    command = [sys.executable, "-c", MAIN, "board", str(results), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
