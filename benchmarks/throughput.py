"""How many small training cells to run at once; `python -m benchmarks.throughput`.

The same eight cells run one, two, four and eight at a time, sharing the cores, or the GPU where
there is one. Seconds are those of the run without Ray's start.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.table import row, show
from lrray.gssm.checks import default_threads

NUM_CELLS = 8
AT_ONCE = (1, 2, 4, 8)
STEPS_CPU, STEPS_GPU = 60, 2000


def measure() -> list[dict[str, Any]]:
    """A row per number of cells at once."""
    with tempfile.TemporaryDirectory() as scratch:
        return [_row(at_once, _cells_per_hour(Path(scratch), at_once)) for at_once in AT_ONCE]


def _row(at_once: int, rate: float) -> dict[str, Any]:
    note = f"{', '.join(f'{key}: {value:g}' for key, value in _resources(at_once).items())} each"
    return row(f"{at_once} cells at once", rate, "cells/hour", "", note)


def _resources(at_once: int) -> dict[str, float]:
    share = {"cpu": default_threads() / at_once}
    return share | ({"gpu": 1 / at_once} if torch.cuda.is_available() else {})


def _cells_per_hour(folder: Path, at_once: int) -> float:
    steps = STEPS_GPU if torch.cuda.is_available() else STEPS_CPU
    study = {
        "kind": "train", "question": "How many at once?", "hypothesis": "As many as cores.",
        "pairs": "studies/pairs/four_latents_gzip.yaml", "pair": "easy_to_infer",
        "grid": {"seed": {"start": 0, "stop": NUM_CELLS}}, "graph_seed": 0,
        "model": {"type": "llama", "hidden_size": 32, "num_hidden_layers": 2},
        "train": {"steps": steps, "batch_size": 32, "seq_len": 128, "eval_sequences": 64},
        "resources": _resources(at_once),
    }  # fmt: skip
    path = folder / f"at_once_{at_once}.yaml"
    path.write_text(json.dumps(study))
    command = [sys.executable, "-m", "lrray.study", str(path), "--out", str(folder / "out")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (summary,) = (folder / "out" / path.stem).glob("*/summary.json")
    return NUM_CELLS / json.loads(summary.read_text())["wall_seconds"] * 3600


if __name__ == "__main__":
    show(measure(), "throughput")
