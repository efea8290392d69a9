"""What reading a run costs as its cells grow in number; `python -m benchmarks.reading`.

Each figure is taken in a process of its own that has imported what it needs: a notebook's.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.table import row, show
from lrray.config import dump_yaml
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, CellRecord
from lrray.studies.cell import Cell

FEW, MANY = 1000, 10_000

_TIMED = """
import sys, time
from pathlib import Path
import pandas
import lrray
import lrray.api
from benchmarks.memory import peak_gb
from lrray.reports.board.live import LiveRun
from lrray.reports.compare.comparison import compare
from lrray.reports.report import write_report
from lrray.results.run import Run
path, other = {path!r}, {other!r}
began = time.perf_counter()
{code}
print(time.perf_counter() - began, peak_gb())
"""

_CODES = {
    "load a run and its cells": ("lrray.load(path).cells", "<= 1.5"),
    "means over seeds": ("lrray.load(path).means('loss')", ""),
    "compare two runs": ("compare([path, other])", ""),
    "board: first reading of a run": ("LiveRun(Run(Path(path)), Path(path)).refresh()", "<= 3"),
    "write the report": ("write_report(Path(path))", "<= 20"),
}
"""What is done -> its code, and the most seconds that it may take."""


def measure() -> list[dict[str, Any]]:
    """All rows."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        few, many = _two(folder, FEW), _two(folder, MANY)
        for name, (code, goal) in _CODES.items():
            (of_few, _), (of_many, memory) = measured(code, *few), measured(code, *many)
            rows.append(row(name, of_many, "s", goal, f"{MANY:,} cells, one a setting"))
            growth = of_many / of_few / (MANY / FEW)
            rows.append(row("the same, growth per cell", growth, "x", "<= 1.5", f"from {FEW:,}"))
            rows.append(row("the same, memory of the process", memory, "GB"))
        size_mb = (many[0] / "report.html").stat().st_size / 1e6
        rows.append(row("size of the report", size_mb, "MB", "<= 20", f"{MANY:,} cells"))
    return rows


def _two(scratch: Path, count: int) -> tuple[Path, Path]:
    """Two runs of the same cells, with other numbers."""
    return fill(scratch / f"{count}a", count, 0), fill(scratch / f"{count}b", count, 1)


def fill(results: Path, count: int, seed: int) -> Path:
    """A run of finished cells, each a setting of its own."""
    rng = random.Random(seed)
    folder = RunFolder.create(results, "many")
    study = {"kind": "function", "question": "What does it cost?", "function": "mine:measure"}
    folder.write_text("study.yaml", dump_yaml(study))
    for i in range(count):
        axes = {"settings.x": i // 4, "settings.y": "abcd"[i % 4]}
        cell = Cell("function", {"function": "mine:measure", "settings": axes}, axes, "results 1")
        result = {"loss": 0.5 + i % 97 + rng.gauss(), "loss_se": 0.1, "accuracy": 0.1 * (i % 7)}
        record = CellRecord.of(cell, DONE, 1.0, result)
        folder.cell_path(cell.id).write_text(record.to_json())
    folder.write_json("summary.json", {"cells": count, "done": count, "failed": 0})
    return folder.path


def measured(code: str, path: Path, other: Path) -> tuple[float, float]:
    """Seconds that some code takes in a process of its own, and the most GB that this held."""
    script = _TIMED.format(path=str(path), other=str(other), code=code)
    seconds, memory = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    return float(seconds), float(memory)


if __name__ == "__main__":
    show(measure(), "reading")
