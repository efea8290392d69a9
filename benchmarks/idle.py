"""CPU seconds of commands that have nothing to run; rows of :mod:`benchmarks.overhead`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.table import row
from lrray.config import dump_yaml
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, CellRecord
from lrray.studies.cell import make_cell
from lrray.studies.load import load_study

GOAL_S = 1.5

_TRIES = 3
"""The least of these counts: other work on a machine adds to a process's time, too."""

_COMMAND = "import sys; sys.argv = ['lrray', *sys.argv[1:]]; from lrray.cli.app import main; main()"


def square(x: int, seed: int = 0) -> dict[str, float]:
    """The cell of the study, which is never run here."""
    return {"y": float(x * x + seed)}


def idle_rows(folder: Path) -> list[dict[str, Any]]:
    """Each command on finished studies of 1,000 cells, a function's and a training's."""
    rows = []
    for name, study in (("function", _function()), ("train", _training())):
        file = folder / f"idle_{name}.yaml"
        file.write_text(dump_yaml(study))
        run = _filled(file, folder)
        commands: dict[str, list[Any]] = {
            "--plan": ["study", file, "--plan", "--out", folder],
            "--resume, all done": ["study", file, "--resume", "--out", folder],
            "report, nothing new": ["report", run],
            "compare with itself": ["compare", run, f"again={run}", "--out", folder / "compared"],
        }
        for label, given in commands.items():
            seconds = cpu_seconds([*map(str, given)])
            goal = f"<= {GOAL_S}"
            note = f"1,000 finished cells of kind {name}"
            rows.append(row(f"{label}: CPU time", seconds, "s", goal, note))
    words = ["runs", "list", "--out", str(folder)]
    rows.append(row("runs list: CPU time", cpu_seconds(words), "s", f"<= {GOAL_S}"))
    load = f"import lrray; lrray.load({str(run)!r}).cells"
    rows.append(row("lrray.load: CPU time", cpu_seconds([], load), "s", f"<= {GOAL_S}"))
    return rows


def cpu_seconds(words: list[str], code: str = _COMMAND) -> float:
    """Least CPU time of a command in a process of its own, that of its children included."""
    command = [sys.executable, "-W", "ignore", "-c", code, *words]
    return min(_once(command) for _ in range(_TRIES))


def _once(command: list[str]) -> float:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return used.ru_utime + used.ru_stime


def _function() -> dict[str, Any]:
    return {
        "kind": "function", "question": "What does it cost?", "hypothesis": "Little.",
        "function": "benchmarks.idle:square",
        "grid": {"settings.x": {"start": 0, "stop": 250}, "seed": {"start": 0, "stop": 4}},
    }  # fmt: skip


def _training() -> dict[str, Any]:
    pairs = Path(__file__).parent.parent / "studies" / "pairs" / "four_latents_gzip.yaml"
    return {
        "kind": "train", "question": "What does it cost?", "hypothesis": "Little.",
        "pairs": str(pairs),
        "grid": {
            "seed": {"start": 0, "stop": 100}, "pair": ["easy_to_infer", "easy_to_predict"],
            "model.hidden_size": [8, 16, 32, 64, 128],
        },
        "model": {"type": "llama", "num_hidden_layers": 4, "num_attention_heads": 4},
        "train": {"steps": 100, "batch_size": 16, "seq_len": 64, "learning_rate": 0.001},
    }  # fmt: skip


def _filled(file: Path, out: Path) -> Path:
    """A run of a study whose cells are all done, as its driver would have left it."""
    study = load_study(str(file))
    folder = RunFolder.create(out, study.name)
    folder.write_text("study.yaml", dump_yaml(study.resolved()))
    for i, point in enumerate(study.points):
        cell = make_cell(point.study, point.axes)
        result = {"excess_bits": 0.1 + i % 97, "loss_bits": 1.0 + i % 89, "accuracy": 0.1 * (i % 7)}
        record = CellRecord.of(cell, DONE, 1.0, result)
        folder.cell_path(cell.id).write_text(record.to_json())
    return folder.path
