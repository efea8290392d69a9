"""What each command loads: packages that take seconds are there only where they are used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = """
kind: function
question: What is a square?
hypothesis: A number times itself.
function: squares:square
grid:
  settings.x: {start: 0, stop: 6}
  seed: [0, 1]
"""
TRAINED = """
kind: train
question: What does a small GRU learn?
hypothesis: Little.
pairs:
  graph:
    nodes:
      - {name: Z1, state_dim: 2}
      - {name: X, state_dim: 4, parents: [Z1], observed: true}
  pairs: [{name: easy_to_infer, alpha_X: 0.5, alpha_Z: 0.5}]
grid:
  seed: [0, 1]
model: {type: gru, hidden_size: 8, num_hidden_layers: 1}
train: {steps: 2, batch_size: 4, seq_len: 8, learning_rate: 0.01}
"""
HEAVY = (
    "ray", "torch", "transformers", "sklearn", "scipy.stats", "numba", "pandas", "matplotlib",
)  # fmt: skip
"""Packages, each of which takes a good part of a second to load."""

_LOADED = """
import json, sys
sys.argv = ["lrray", *json.loads(sys.argv[1])]
from lrray.cli.app import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""
_FILLED = """
import sys
from pathlib import Path
from lrray.config import dump_yaml
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, CellRecord
from lrray.studies.cell import make_cell
from lrray.studies.load import load_study
study = load_study(sys.argv[1])
folder = RunFolder.create(Path("results"), study.name)
folder.write_text("study.yaml", dump_yaml(study.resolved()))
for point in study.points:
    cell = make_cell(point.study, point.axes)
    record = CellRecord.of(cell, DONE, 1.0, {"y": float(cell.settings["seed"])})
    folder.cell_path(cell.id).write_text(record.to_json())
"""


def run(folder, code, *arguments):
    path = os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(folder / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(folder, *words):
    """Heavy packages that a command has loaded when it ends."""
    output = run(folder, _LOADED.format(heavy=HEAVY), json.dumps(words))
    return output, set(json.loads(output.splitlines()[-1]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with two finished studies, whose summaries and reports are written."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "squares.py").write_text("def square(x, seed):\n    return {'y': float(x * x)}\n")
    for name, text in (("squares", STUDY), ("trained", TRAINED)):
        (folder / f"{name}.yaml").write_text(text)
        run(folder, _FILLED, f"{name}.yaml")
    run(folder, _LOADED.format(heavy=()), json.dumps(["study", "squares.yaml", "--resume"]))
    return folder


@pytest.mark.parametrize(
    ("words", "used"),
    [
        (["study", "--list"], set()),
        (["study", "squares.yaml", "--plan"], set()),
        (["study", "trained.yaml", "--plan"], set()),
        (["study", "squares.yaml", "--resume"], set()),
        (["runs", "list"], set()),
        (["runs", "show", "squares"], set()),
        (["report", "results/squares"], set()),
        (["report", "results/trained"], {"matplotlib"}),
        (["compare", "a=results/squares", "b=results/squares"], {"pandas"}),
        (["sweep", "--help"], set()),
    ],
    ids=" ".join,
)
def test_a_command_loads_no_heavy_package_that_it_does_not_use(folder, words, used):
    assert loaded(folder, *words)[1] <= used


def test_a_finished_run_is_resumed_without_ray_and_left_as_it_is(folder):
    (run_folder,) = (folder / "results" / "squares").iterdir()
    before = {path: path.stat().st_mtime_ns for path in run_folder.rglob("*") if path.is_file()}
    output, _ = loaded(folder, "study", "squares.yaml", "--resume")
    assert "Nothing is left to run" in output
    assert "12 of 12 cells done" in output
    after = {path: path.stat().st_mtime_ns for path in run_folder.rglob("*") if path.is_file()}
    assert after == before


def test_a_run_is_loaded_in_a_notebook_without_pandas_until_a_table_is_asked_for(folder):
    code = (
        "import sys, lrray\nrun = lrray.load('results/squares')\nrepr(run)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
        "print(len(run.cells), 'pandas' in sys.modules)\n"
    )
    assert run(folder, code).splitlines() == ["[]", "12 True"]


def test_ray_is_announced_before_it_is_loaded(folder):
    code = """
import sys
from lrray.runs.progress import Progress
def waiting(self, what):
    print(what, "ray" in sys.modules, flush=True)
    raise SystemExit
Progress.waiting = waiting
sys.argv = ["lrray", "study", "squares.yaml", "--out", "new"]
from lrray.cli.app import main
main()
"""
    assert run(folder, code).splitlines()[-1] == "starting Ray False"


def test_a_command_that_takes_a_while_says_so_at_a_terminal(folder):
    (folder / "slow.py").write_text(
        "import time\ntime.sleep(2)\ndef square(x, seed):\n    return {'y': x}\n"
    )
    (folder / "slow.yaml").write_text(STUDY.replace("squares:", "slow:"))
    code = _LOADED.format(heavy=())
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(["study", "slow.yaml", "--plan"])],
        cwd=folder, text=True, capture_output=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "TTY_COMPATIBLE": "1"},
    )  # fmt: skip
    assert done.stderr.splitlines()[0] == "reading the study slow.yaml …"
    assert "reading" not in done.stdout


@pytest.mark.parametrize("words", [["--version"], ["-h"], ["study", "-h"]], ids=" ".join)
def test_version_and_short_help_are_there_and_light(folder, words):
    output, used = loaded(folder, *words)
    assert not used
    assert "lrray" in output
