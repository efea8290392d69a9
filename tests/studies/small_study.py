"""A difficulty study that runs in seconds, and the real command on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lrray.config import dump_yaml

STUDY: dict[str, Any] = {
    "kind": "difficulty",
    "question": "Where is a small graph equally hard?",
    "hypothesis": "On one falling curve.",
    "graph": {
        "nodes": [
            {"name": "Z1", "state_dim": 4, "parents": ["X"]},
            {"name": "X", "state_dim": 8, "parents": ["Z1"], "observed": True},
        ]
    },
    "search_space": {
        "alpha_X": {"distribution": "log_uniform", "low": 0.01, "high": 1.0},
        "alpha_Z": {"distribution": "log_uniform", "low": 0.01, "high": 1.0},
    },
    "target": {"metric": "gzip", "value": 0.35, "tolerance": 0.2},
    "seeds": 4,
    "sequences_per_seed": 2,
    "seq_len": 256,
    "entropy_sequences": 1,
    "search": {"num_trials": 10},
    "pairs": {"num_seeds": 8, "max_rounds": 1},
}


def command(*words: str | Path) -> list[str]:
    """The study command as a user types it."""
    return [sys.executable, "-m", "lrray.study", *map(str, words)]


def environment() -> dict[str, str]:
    """This environment, with one thread per process: others use the cores as well."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def run(cwd: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the study command to its end, in its own folder."""
    return subprocess.run(
        command(*words), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=600
    )


def write(folder: Path, name: str = "small", **changes: Any) -> Path:
    """Writes the small study with some keys changed."""
    path = folder / f"{name}.yaml"
    path.write_text(dump_yaml({**STUDY, **changes}))
    return path
