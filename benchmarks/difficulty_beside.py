"""The difficulty studies of this tree beside those of another commit, in turns.

Run with ``python -m benchmarks.difficulty_beside TREE``, where TREE is a worktree of the other
commit (``git worktree add TREE COMMIT``), on a quiet machine. The other tree's study asks for
24 draws a trial and knows no lag; both are told to its simulated contour.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import row, show

TURNS = 3
HERE = Path(__file__).resolve().parents[1]
SCRIPT = HERE / "benchmarks/shared_draws.py"


def measure(other: Path) -> list[dict[str, Any]]:
    """All rows."""
    return [*_study_rows(other), *_contour_rows(other)]


def _study_rows(other: Path) -> list[dict[str, Any]]:
    """Start of Python to table of the default study, this tree and the other one in turns."""
    seconds: dict[Path, list[float]] = {HERE: [], other: []}
    errors: list[float] = []
    for _ in range(TURNS):
        for tree, own in seconds.items():
            took, summary = _run("difficulty", tree)
            own.append(took)
            if tree == HERE:
                errors += [pair["difficulty_se"] for pair in summary["pairs"]]
    here, there = (float(np.median(own)) for own in seconds.values())
    note = f"median of {TURNS}, in turns"
    rows = [
        row("difficulty: whole command", here, "s", "<= 35", note),
        row("difficulty: the other commit", there, "s", "", note),
        row("difficulty: over the other commit", here / there, "x", "<= 0.4", note),
        row("difficulty: largest standard error of a pair", max(errors), "", "<= 0.002"),
    ]
    for study, goal in (("difficulty_entropy", 45), ("difficulty_large", 180)):
        rows.append(row(f"{study}: whole command", _run(study, HERE)[0], "s", f"<= {goal}"))
    return rows


def _contour_rows(other: Path) -> list[dict[str, Any]]:
    """Contour error at the end of 32 trials, over nine seeds."""
    here, there = _simulated(HERE, 40, 4), _simulated(other, 24, 2)
    return [
        row("contour error at the end", here["error"], "", "", "median of 9 seeds, 40 draws"),
        row("contour error: the other commit", there["error"], "", "", "24 draws"),
        row("contour error: over the other commit", here["error"] / there["error"], "x", "<= 1"),
        row("share of the line in its band", here["coverage"], "", "0.95"),
        row("share in its band: the other commit", there["coverage"], "", "0.95"),
    ]


def _run(study: str, tree: Path) -> tuple[float, dict[str, Any]]:
    """Seconds of a whole command, and the summary that it wrote."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "lrray.study", study, "--out", scratch]
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=tree, env=_environment(tree))
        seconds = time.perf_counter() - began
        (folder,) = (Path(scratch) / study).iterdir()
        return seconds, json.loads((folder / "summary.json").read_text())


def _simulated(tree: Path, draws: int, lag: int) -> dict[str, float]:
    command = [sys.executable, str(SCRIPT), str(draws), str(lag), "9"]
    told = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=tree, env=_environment(tree)
    )
    found: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return found


def _environment(tree: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path, help="worktree of the other commit")
    show(measure(parser.parse_args().tree.resolve()), "difficulty beside another commit")
