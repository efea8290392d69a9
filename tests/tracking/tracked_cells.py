"""Cells for the tracking tests; as a script, runs one cell in a process of its own.

``python tracked_cells.py FOLDER STOP_AT FINISH_S [FUNCTION]`` ends its process at that step like a
killed worker would, and waits so long for a follower at most.
"""

import os
import sys
import time
from pathlib import Path

from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.results.folder import RunFolder
from lrray.studies.cell import Cell
from lrray.studies.kind import CellContext
from lrray.tracking import follower
from lrray.tracking.follower import tracked

STEPS = 30
STOP_AT = -1


def descend(rate: float, seed: int, context: CellContext) -> dict[str, float]:
    for step in range(STEPS):
        if step == STOP_AT:
            while not any(context.checkpoint.parents[1].glob("wandb/*/*.wandb")):
                time.sleep(0.1)
            os._exit(1)
        context.log({"step": step, "loss_bits": 1 + (1 - rate) ** step})
    return {"loss_bits": 1 + (1 - rate) ** STEPS, "seed_squared": seed**2}


def evaluate_every_tenth(rate: float, seed: int, context: CellContext) -> dict[str, float]:
    """Logs a loss at every fifth step and, on its own line, an evaluation at every tenth."""
    for step in range(5, 31, 5):
        context.log({"step": step, "train_loss_bits": 1 / step})
        if step % 10 == 0:
            context.log({"step": step, "excess_bits": 2 / step})
    return {"excess_bits": 2 / 30}


def fail(rate: float, seed: int) -> dict[str, float]:
    raise ValueError("never works")


def anything(**settings: object) -> dict[str, float]:
    return {"loss_bits": 1.0}


def cell(function: str = "descend", seed: int = 3) -> Cell:
    settings = {
        "function": f"tracked_cells:{function}", "settings": {"rate": 0.1}, "seed": seed,
    }  # fmt: skip
    return Cell("function", settings, {"rate": 0.1, "seed": seed}, "code")


def run(which: Cell, folder: Path) -> dict[str, object]:
    """What a worker does with one cell."""
    here, limits = RunFolder(folder), Limits(max_failures=0)
    return tracked(lambda cell: run_durably(cell, here, limits), here)(which)


if __name__ == "__main__":
    sys.modules["tracked_cells"] = sys.modules["__main__"]
    STOP_AT = int(sys.argv[2])
    follower.FINISH_S = float(sys.argv[3])
    began = time.monotonic()
    run(cell(*sys.argv[4:]), Path(sys.argv[1]))
    print(f"{time.monotonic() - began:.1f}", "wandb" in sys.modules)
