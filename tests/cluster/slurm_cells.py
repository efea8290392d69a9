"""Cells that take a while and say where they ran."""

import socket
import time
from pathlib import Path


def slow(x: int) -> dict[str, float]:
    place = Path.cwd() / "nodes"
    place.mkdir(exist_ok=True)
    (place / socket.gethostname()).touch()
    time.sleep(3)
    return {"squared": float(x * x)}
