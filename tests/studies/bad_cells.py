"""Cells that go wrong in every way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lrray.errors import DiskFullError
from lrray.studies.cell import Cell
from lrray.studies.kind import CellContext


def works() -> dict[str, float]:
    return {"loss": 0.5}


def raises() -> dict[str, float]:
    raise ValueError("no such luck\nand more")


def works_the_second_time(context: CellContext) -> dict[str, float]:
    if not context.checkpoint.exists():
        context.checkpoint.mkdir(parents=True)
        raise ValueError("not yet")
    return {"loss": 0.5}


def dies_further_on_every_time(context: CellContext) -> dict[str, float]:
    context.checkpoint.mkdir(parents=True, exist_ok=True)
    done = len(list(context.checkpoint.iterdir()))
    if done == 5:
        return {"loss": 0.5}
    (context.checkpoint / f"step_{done}").touch()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def diverges() -> dict[str, Any]:
    return {"loss": 1.0, "per_seed": {"loss": [0.1, float("nan")]}}


def has_one_seed() -> dict[str, Any]:
    return {"loss": 1.0, "loss_se": float("nan")}


def returns_no_numbers_by_name() -> Any:
    return 0.5


def returns_what_cannot_be_kept() -> dict[str, Any]:
    return {"loss": object()}


def finds_no_room(context: CellContext) -> dict[str, float]:
    if not context.shared.exists():
        Path("/dev/full").write_text("x")
    return {"loss": 0.5}


def finds_no_room_for_a_checkpoint(context: CellContext) -> dict[str, float]:
    if not context.shared.exists():
        raise DiskFullError("/a/folder", "a checkpoint cannot be written: no space left")
    return {"loss": 0.5}


def hangs() -> dict[str, float]:
    time.sleep(600)
    return {}


def eats_memory() -> dict[str, float]:
    rest = []
    while True:
        rest.append(b"x" * 20_000_000)
        time.sleep(0.02)


def dies() -> dict[str, float]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def fails_late(seed: int, context: CellContext) -> dict[str, float]:
    """Each time it works for a while; then it raises, dies and ends well."""
    time.sleep(0.2)
    place = context.checkpoint / "tries"
    place.parent.mkdir(parents=True, exist_ok=True)
    tries = len(place.read_text()) if place.exists() else 0
    place.write_text("x" * (tries + 1))
    if tries == 0:
        raise ValueError("not yet")
    if tries == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"tries": tries + 1}


def dies_at_its_third_seed(seed: int, context: CellContext) -> dict[str, float]:
    log = context.shared / "seeds"
    log.parent.mkdir(exist_ok=True)
    begun = log.read_text().split() if log.exists() else []
    log.write_text(" ".join([*begun, str(seed)]))
    if seed == 7 and "7" not in begun:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"loss": seed / 7}


class CannotBeSaid(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def raises_what_cannot_be_said() -> dict[str, float]:
    raise CannotBeSaid


def raises_what_cannot_be_encoded() -> dict[str, float]:
    raise ValueError("half a pair: \udc80")


def raises_five_megabytes() -> dict[str, float]:
    raise ValueError("x" * 5_000_000)


def presses_ctrl_c() -> dict[str, float]:
    raise KeyboardInterrupt


def calls_sys_exit() -> dict[str, float]:
    sys.exit(3)


def calls_os_exit() -> dict[str, float]:
    print(*(f"line {i}" for i in range(100)), sep="\n")
    os._exit(3)


def is_killed() -> None:
    print(*(f"line {i}" for i in range(100)), sep="\n", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def eats_memory_in_a_child(context: CellContext) -> dict[str, float]:
    context.shared.mkdir(exist_ok=True)
    eat = "import time\nrest = []\nwhile True:\n rest.append(b'x' * 20_000_000)\n time.sleep(0.02)"
    child = subprocess.Popen([sys.executable, "-c", eat])
    (context.shared / "child").write_text(str(child.pid))
    child.wait()
    return {}


def cell(name: str, seed: int | list[int] = 0) -> Cell:
    settings = {"function": f"tests.studies.bad_cells:{name}", "settings": {}, "seed": seed}
    return Cell("function", settings, {"name": name}, code="c0de")
