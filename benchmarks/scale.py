"""How costs grow with the number of cells and of GPUs; `python -m benchmarks.scale`.

A Ray cluster of four nodes on this machine declares GPUs that are not there; cells take no time and
hold one of them. Four run at once: each is a process, and they share this machine's cores. Short
cells share trials; with one cell per trial the cost is that of longer cells.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.driver import Ran, run_study
from benchmarks.table import row, show

FEW, MANY = 500, 10_000
FEW_ALONE, MANY_ALONE = 100, 300
"""Cells where each has a trial of its own."""
NODES = 4

_CLUSTER = """
import sys
from ray.cluster_utils import Cluster
gpus = int(sys.argv[1]) // {nodes}
node = dict(num_cpus=1, num_gpus=gpus, object_store_memory=100_000_000)
cluster = Cluster(initialize_head=True, head_node_args=node)
for _ in range({nodes} - 1):
    cluster.add_node(**node)
print(">", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


def nothing(x: int) -> dict[str, float]:
    """A cell that takes no time."""
    return {"y": float(x)}


def measure() -> list[dict[str, Any]]:
    """All rows."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for gpus in (64, 1000):
            folder, where = Path(scratch) / str(gpus), f"{gpus:,} GPUs"
            with cluster(gpus) as address:
                rows += _on_cluster(folder, address, where)
                if gpus == 1000:
                    rows += _alone(folder, address, where)
    return rows


def _on_cluster(folder: Path, address: str, where: str) -> list[dict[str, Any]]:
    folder.mkdir()
    few, many = run(folder, "few", FEW, address), run(folder, "many", MANY, address)
    resumed = run(folder, "many", MANY, address, "--resume")
    few_write_ms, many_write_ms = write_ms(few.run), write_ms(many.run)
    few_cells, many_cells = f"{where}, {FEW:,} cells", f"{where}, {MANY:,} cells"
    return [
        row("short cell", few.cell_ms, "ms", "", few_cells),
        row("short cell", many.cell_ms, "ms", "", many_cells),
        row("short cell, growth", many.cell_ms / few.cell_ms, "x", "<= 1.5", where),
        row("driver memory", few.memory_gb, "GB", "", few_cells),
        row("driver memory", many.memory_gb, "GB", "", many_cells),
        row("table, per cell", few_write_ms, "ms", "", few_cells),
        row("table, per cell", many_write_ms, "ms", "", many_cells),
        row("table, growth", many_write_ms / few_write_ms, "x", "<= 1.5", where),
        row("resuming when all is done", resumed.wall_s, "s", "", many_cells),
    ]


def _alone(folder: Path, address: str, where: str) -> list[dict[str, Any]]:
    few = run(folder, "few_alone", FEW_ALONE, address, batch_s=0)
    many = run(folder, "many_alone", MANY_ALONE, address, batch_s=0)
    return [
        row("cell with a trial of its own", few.cell_ms, "ms", "", f"{where}, {FEW_ALONE} cells"),
        row("cell with a trial of its own", many.cell_ms, "ms", "", f"{where}, {MANY_ALONE} cells"),
        row("the same, growth", many.cell_ms / few.cell_ms, "x", "<= 1.5", where),
    ]


def run(
    folder: Path, name: str, cells: int, address: str, *options: str, batch_s: float = 1.0
) -> Ran:
    """Runs cells that take no time, four at once."""
    study = {
        "kind": "function", "question": "What does a cell cost?", "hypothesis": "Little.",
        "function": "benchmarks.scale:nothing",
        "grid": {"settings.x": {"start": 0, "stop": cells}},
        "resources": {"gpu": 1, "cpu": 0.5, "max_concurrent": 4},
    }  # fmt: skip
    return run_study(folder, name, study, cells, "--address", address, *options, batch_s=batch_s)


def write_ms(run: Path) -> float:
    """Time to make a run's table from its records, per cell."""
    from lrray.results.folder import RunFolder
    from lrray.results.groups import means_table
    from lrray.results.tables import cell_table

    records = list(RunFolder(run).cells())
    began = time.perf_counter()
    cell_table(records).to_csv(index=False)
    means_table(records)
    return (time.perf_counter() - began) / len(records) * 1e3


@contextmanager
def cluster(gpus: int) -> Iterator[str]:
    """A Ray cluster with that many GPUs in name; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CLUSTER.format(nodes=NODES), str(gpus)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield next(line[2:].strip() for line in process.stdout if line.startswith("> "))
    finally:
        process.stdin.close()
        process.wait(120)


if __name__ == "__main__":
    show(measure(), "scale")
