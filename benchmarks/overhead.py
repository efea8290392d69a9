"""What the platform itself costs: per cell, start and resume; `python -m benchmarks.overhead`.

The trivial cell squares a number, so whole-process time is all overhead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.driver import Ran, run_study
from benchmarks.idle import idle_rows
from benchmarks.table import row, show

NUM_CELLS = 200
MANY = 1000


def square(x: int) -> dict[str, float]:
    """The trivial cell."""
    return {"y": float(x * x)}


def measure() -> list[dict[str, Any]]:
    """All rows."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        few, many = _study(folder, "few", NUM_CELLS), _study(folder, "many", MANY)
        resumed = _study(folder, "many", MANY, "--resume")
        return [
            row("trivial cell in a study", few.cell_ms, "ms", "<= 50",
                f"{NUM_CELLS} cells, Ray running"),
            row("trivial cell, Ray's start included", few.command_s / NUM_CELLS * 1e3, "ms"),
            row("trivial plain Ray task", _ray_task_ms(), "ms", "", f"{NUM_CELLS} tasks"),
            row("trivial Optuna trial alone", _optuna_trial_ms(), "ms", "", "in memory, random"),
            row("cell at 1,000 cells over cell at 200", many.cell_ms / few.cell_ms, "x", "<= 1.5"),
            row("resuming 1,000 finished cells", resumed.wall_s, "s", "", "Ray running"),
            row("the same, whole command", resumed.command_s, "s", "", "start of Python to table"),
            row("driver memory at 1,000 cells", many.memory_gb, "GB"),
            row("`lrray --help`", _help_s(), "s", "< 1"),
            *idle_rows(folder),
        ]  # fmt: skip


def _study(folder: Path, name: str, cells: int, *options: str) -> Ran:
    study = {
        "kind": "function", "question": "What does a cell cost?", "hypothesis": "Little.",
        "function": "benchmarks.overhead:square",
        "grid": {"settings.x": {"start": 0, "stop": cells}},
    }  # fmt: skip
    return run_study(folder, name, study, cells, *options)


def _ray_task_ms() -> float:
    """A plain task that returns a number, on a warm Ray."""
    code = (
        "import ray, time; ray.init(log_to_driver=False, logging_level='ERROR')\n"
        "f = ray.remote(lambda x: x * x); ray.get([f.remote(i) for i in range(20)])\n"
        f"t = time.perf_counter(); ray.get([f.remote(i) for i in range({NUM_CELLS})])\n"
        f"print((time.perf_counter() - t) / {NUM_CELLS} * 1e3)"
    )
    return float(_python(code).splitlines()[-1])


def _optuna_trial_ms() -> float:
    code = (
        "import optuna, time; optuna.logging.set_verbosity(40)\n"
        "s = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))\n"
        "t = time.perf_counter()\n"
        f"s.optimize(lambda t: t.suggest_float('x', 0, 1) ** 2, n_trials={NUM_CELLS})\n"
        f"print((time.perf_counter() - t) / {NUM_CELLS} * 1e3)"
    )
    return float(_python(code).splitlines()[-1])


def _help_s() -> float:
    """Best of five."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        _python(
            "import sys; sys.argv = ['lrray', '--help']; from lrray.cli.app import main; main()"
        )
        times.append(time.perf_counter() - began)
    return min(times)


def _python(code: str) -> str:
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    return done.stdout


if __name__ == "__main__":
    show(measure(), "overhead")
