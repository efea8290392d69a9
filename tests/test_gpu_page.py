"""The page that a GPU's first minutes give, rehearsed on a CPU with what such a machine has."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.sizes import FULL, TOY
from benchmarks.gpu.steps import steps

ROOT = Path(__file__).parents[1]
WHEELS = (ROOT / "benchmarks/gpu/wheels.txt").read_text().split()
THERE = {"torch", "transformers", "numpy", "numba", "scipy", "h5py", "pyyaml", "rich", "filelock",
         "jinja2", "psutil", "pydantic"}  # fmt: skip
"""Packages of lrray's that such a machine has, or is brought as wheels."""
MODULES = {"scikit-learn": "sklearn", "pyyaml": "yaml", "optuna-dashboard": "optuna_dashboard"}
TREE_MIB, RESULT_MIB = 64, 16
"""What such a machine takes, and gives back."""


def blocked() -> list[str]:
    """Modules of all that lrray depends on and such a machine has not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    names = {re.split(r"[\[><=]", name)[0] for name in [*project["dependencies"], *extras]}
    return sorted(MODULES.get(name, name.replace("-", "_")) for name in names - THERE)


@pytest.fixture
def page(tmp_path: Path) -> dict[str, Any]:
    blocker = f"""
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_others(name, path=None, target=None):
    return None if name.partition(".")[0] in {blocked()!r} else find(name, path, target)
PathFinder.find_spec = find_others
"""
    (tmp_path / "sitecustomize.py").write_text(blocker)
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    # Threads of many processes would stand in each other's way.
    own = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    out = tmp_path / "out"
    command = [sys.executable, "-m", "benchmarks.gpu", "--size", "toy", "--limit", "900"]
    done = subprocess.run(
        [*command, "--out", str(out)], cwd=ROOT, env=own, capture_output=True, text=True,
        timeout=900,
    )  # fmt: skip
    written: dict[str, Any] = json.loads((out / "gpu.json").read_text())
    trouble = {name: step["trouble"] for name, step in written["steps"].items() if step["trouble"]}
    assert done.returncode == 0, trouble or done.stderr
    size = sum(path.stat().st_size for path in out.iterdir())
    assert size < RESULT_MIB * 2**20
    assert (out / "gpu.md").read_text().count("\n## ") == len(steps(TOY))
    return written


@pytest.mark.slow  # eight processes that train
def test_every_step_answers_on_a_cpu_without_ray_peft_and_network(page: dict[str, Any]) -> None:
    assert page["steps"].keys() == steps(TOY).keys()
    rows = {row["name"]: row for step in page["steps"].values() for row in step["rows"]}
    checks = {row["name"]: row["value"] for row in page["steps"]["checks"]["rows"]}
    names = ("llama: as on a CPU", "packed: as alone", "compiled: as not compiled")
    assert all(checks[name] <= 1e-3 for name in names)
    assert checks["weights: float32 alone"] == checks["attention: a fused kernel"] == 1
    assert rows["packed over the best of processes"]["value"] > 0
    assert rows["likelihood, 64 joint states: error"]["value"] <= 1e-4
    assert rows["toy, all weights: an epoch of 20 rows"]["value"] > 0
    assert rows["toy, LoRA"]["note"] == "needs the package peft"
    assert math.isnan(rows["toy, LoRA"]["value"])


def test_the_full_size_has_the_models_that_are_asked_for() -> None:
    assert set(FULL.llamas) == {"1B", "8B"}
    assert {(32, 4), (128, 4), (768, 12)} == set(FULL.models)
    assert FULL.likelihood_latents == 8
    assert sum(step.share for step in steps(FULL).values()) < 1.2


def test_a_step_that_is_too_slow_or_fails_costs_its_own_answer_alone() -> None:
    from benchmarks.gpu.__main__ import run_step

    slow = run_step("likelihood", "toy", 0.2)
    assert (slow["rows"], slow["trouble"].splitlines()[0]) == ([], "not done within 0 s")
    failed = run_step("no such step", "toy", 60)
    assert failed["rows"] == []
    assert failed["trouble"].startswith("exit code 1\n")
    assert "KeyError" in failed["trouble"]


def test_tree_and_wheels_fit_what_such_a_machine_takes() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    paths = [ROOT / name for name in listed.split("\0") if name]
    tree = sum(path.stat().st_size for path in paths if path.is_file())
    # Unpacked they are larger than the wheels.
    files = [file for name in WHEELS for file in distribution(name).files or ()]
    assert {distribution(name).metadata["Name"] for name in WHEELS} >= {"pydantic"}
    assert tree + sum(file.size or 0 for file in files) < TREE_MIB * 2**20
