"""A study's command as a process of its own: how long it takes and how much memory it holds.

``python -m benchmarks.driver FILE BATCH_S STUDY …`` is ``python -m lrray.study STUDY …`` with
short cells in batches of ``BATCH_S`` seconds, and writes its peak memory in GB to ``FILE``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrray.config import dump_yaml


@dataclass(frozen=True)
class Ran:
    """One finished command."""

    run: Path
    """Folder of its results."""
    num_cells: int
    command_s: float
    """From the start of Python to the table."""
    wall_s: float
    """From the cells' begin to the summary, without Ray's start."""
    memory_gb: float
    """Most that the driver took."""

    @property
    def cell_ms(self) -> float:
        """What a cell costs."""
        return self.wall_s / self.num_cells * 1e3


def run_study(
    folder: Path, name: str, study: dict[str, Any], cells: int, *options: str, batch_s: float = 1.0
) -> Ran:
    """Runs a study of so many cells as a command; its results go to ``folder``."""
    path, memory = folder / f"{name}.yaml", folder / f"{name}.memory"
    path.write_text(dump_yaml(study))
    command = [sys.executable, "-m", "benchmarks.driver", str(memory), str(batch_s)]
    began = time.perf_counter()
    subprocess.run(
        [*command, str(path), "--out", str(folder), *options],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    command_s = time.perf_counter() - began
    (found,) = (folder / name).glob("*/summary.json")
    summary = json.loads(found.read_text())
    assert summary["done"] == cells
    seconds, peak = float(summary["wall_seconds"]), float(memory.read_text())
    return Ran(found.parent, cells, command_s, seconds, peak)


def main() -> None:
    """The command itself."""
    from benchmarks.memory import peak_gb
    from lrray.cli.study import main as study
    from lrray.search import fixed as sources

    memory = Path(sys.argv.pop(1))
    sources.BATCH_S = float(sys.argv.pop(1))
    try:
        study()
    finally:
        memory.write_text(str(peak_gb()))


if __name__ == "__main__":
    main()
