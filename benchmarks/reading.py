"""What reading a run costs as its cells grow in number; `python -m benchmarks.reading`.

Each figure is taken in a process of its own that has imported what it needs: a notebook's.
"""

from __future__ import annotations

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
import lrray
import lrray.api
from lrray.reports.report import write_report
from lrray.reports.compare.comparison import compare
path = {path!r}
began = time.perf_counter()
{code}
print(time.perf_counter() - began)
"""

_CODES = {
    "load a run and its cells": "lrray.load(path).cells",
    "means over seeds": "lrray.load(path).means('loss')",
    "compare a run with itself": "compare([path, 'again=' + path])",
    "write the report": "write_report(Path(path))",
}


def measure() -> list[dict[str, Any]]:
    """All rows."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        few, many = (fill(Path(scratch) / str(count), count) for count in (FEW, MANY))
        for name, code in _CODES.items():
            of_few, of_many = seconds(few, code), seconds(many, code)
            goal = "<= 1.5" if name.startswith("load") else ""
            rows.append(row(name, of_many, "s", goal, f"{MANY:,} cells, one a setting"))
            growth = of_many / of_few / (MANY / FEW)
            rows.append(row("the same, growth per cell", growth, "x", "<= 1.5", f"from {FEW:,}"))
    return rows


def fill(results: Path, count: int) -> Path:
    """A run of finished cells, each a setting of its own."""
    folder = RunFolder.create(results, "many")
    study = {"kind": "function", "question": "What does it cost?", "function": "mine:measure"}
    folder.write_text("study.yaml", dump_yaml(study))
    for i in range(count):
        axes = {"settings.x": i // 4, "settings.y": "abcd"[i % 4]}
        cell = Cell("function", {"function": "mine:measure", "settings": axes}, axes, "results 1")
        result = {"loss": 0.5 + i % 97, "loss_se": 0.1, "accuracy": 0.1 * (i % 7)}
        record = CellRecord.of(cell, DONE, 1.0, result)
        folder.cell_path(cell.id).write_text(record.to_json())
    folder.write_json("summary.json", {"cells": count, "done": count, "failed": 0})
    return folder.path


def seconds(path: Path, code: str) -> float:
    """The time that some code takes in a process of its own."""
    script = _TIMED.format(path=str(path), code=code)
    return float(subprocess.check_output([sys.executable, "-c", script], text=True))


if __name__ == "__main__":
    show(measure(), "reading")
