"""Results folders for the tests, written by the code that writes them in studies."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from lrray.config import dump_yaml
from lrray.results.folder import RunFolder
from lrray.results.provenance import provenance
from lrray.studies.cell import Cell

STUDY = {
    "kind": "function",
    "question": "Which model learns <fastest> & best?",
    "hypothesis": "The larger one, for a while.",
    "function": "mine:train",
    "settings": {"model": "gru", "hidden_size": 8},
}


def new_run(results: Path, name: str = "models", **changes: object) -> RunFolder:
    """A run's folder before its first cell."""
    folder = RunFolder.create(results, name)
    folder.write_text("study.yaml", dump_yaml({**STUDY, **changes}))
    folder.write_json("provenance.json", provenance(["lrray", "study", name]))
    return folder


def cell_of(model: str, hidden_size: int, seed: int) -> Cell:
    settings = {"function": "mine:train", "seed": seed}
    settings["settings"] = {"model": model, "hidden_size": hidden_size}
    axes = {"settings.model": model, "settings.hidden_size": hidden_size, "seed": seed}
    return Cell("function", settings, axes, code="c0de")


def loss_of(model: str, hidden_size: int, seed: int) -> float:
    return {"gru": 2.0, "mamba": 1.9}[model] + 1 / hidden_size + 0.01 * (seed - 1)


def fill(folder: RunFolder, sizes: Iterable[int] = (4, 8, 16), seeds: int = 3) -> list[Cell]:
    """Two models × sizes × seeds, with curves; the last cell failed."""
    cells = [cell_of(m, h, s) for m in ("gru", "mamba") for h in sizes for s in range(seeds)]
    for cell in cells[:-1]:
        axes = list(cell.axes.values())
        for step in range(0, 200, 10):
            loss = loss_of(*axes) + math.exp(-step / 50)
            folder.append_metrics(cell.id, {"step": step, "loss": loss, "speed": 100.0})
        folder.save_cell(cell, {"loss": loss_of(*axes), "steps": 200}, seconds=1.5)
    folder.save_failure(cells[-1], "ValueError: it broke", "Traceback …\nValueError: it broke", 0.5)
    return cells


def finish(folder: RunFolder, cells: int) -> None:
    """Marks a run as ended."""
    summary = {"kind": "function", "cells": cells, "done": cells - 1, "failed": 1}
    folder.write_json("summary.json", {**summary, "wall_seconds": 12.0, "cell_seconds": 26.0})


def fill_many(folder: RunFolder, count: int) -> None:
    """Many finished cells, written without waiting for the disk after each one."""
    one = cell_of("gru", 8, 0)
    folder.save_cell(one, {"loss": 1.0}, seconds=1.0)
    record = folder.load_cell(one.id)
    assert record is not None
    folder.cell_path(one.id).unlink()
    for i in range(count):
        own = {"id": f"{i:016x}", "axes": {"seed": i}, "result": {"loss": float(count - i)}}
        record = replace(record, **own)
        folder.cell_path(record.id).write_text(record.to_json())
