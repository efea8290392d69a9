"""``python -m lrray.study``: help, list and plan, as real processes."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lrray.runs.run import Options, resume_command
from lrray.studies.load import list_studies, load_study
from tests.studies.small_study import environment, run, write

HEAVY = ("ray", "torch", "transformers", "optuna", "pandas", "numpy", "matplotlib", "sklearn")

LOADED = """
import json, runpy, sys
sys.argv = ["study", "--help"]
try:
    runpy.run_module("lrray.study", run_name="__main__")
except SystemExit:
    pass
print("loaded", json.dumps(sorted(sys.modules)))
"""


def test_help_names_every_option_and_exits_well(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    for word in ("name", "key=value", "--out", "--resume", "--address", "--plan", "--list"):
        assert word in done.stdout
    assert done.stderr == ""


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=tmp_path, env=environment(),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = json.loads(done.stdout.rpartition("loaded ")[2])
    assert not set(HEAVY) & set(loaded)


def test_the_console_script_is_the_same_command(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "from lrray.cli.app import main; main()", "study", "--help"]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0
    assert "--resume" in done.stdout


def test_list_shows_every_shipped_study_and_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    write(tmp_path / "studies", "mine")
    done = run(tmp_path, "--list")
    assert done.returncode == 0
    assert {*list_studies(), "mine"} <= set(done.stdout.split())
    assert done.stderr == ""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    folder = tmp_path_factory.mktemp("plan")
    write(folder)
    done = run(folder, "small.yaml", "--plan", "search.num_trials=20", "seeds=[7, 8]")
    assert [path.name for path in folder.iterdir()] == ["small.yaml"]  # nothing written
    return done


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("question", "Where is a small graph equally hard?"),
        ("trials", "20"),
        ("kernel draws in all", str(20 * 2 + 2 * (4 + 8))),  # half as many to correct the place
        ("each cell takes", "1 CPU, 0 GPU"),
    ],
)
def test_plan_says_what_would_run(plan, what: str, value: str) -> None:
    assert plan.returncode == 0
    (line,) = (line for line in plan.stdout.splitlines() if line.strip().startswith(what))
    assert line.split(what)[1].strip() == value


def test_plan_estimates_the_time_and_starts_no_ray(plan) -> None:
    assert "estimated time" in plan.stdout
    assert "watch" not in plan.stdout
    assert plan.stderr == ""


def test_a_graph_that_does_not_fit_into_memory_is_told_by_the_plan(tmp_path: Path) -> None:
    latents = [{"name": f"Z{i}", "state_dim": 60_000} for i in range(4)]
    token = {
        "name": "X", "state_dim": 60_000, "parents": [node["name"] for node in latents],
        "kernel_type": "fullrank", "observed": True,
    }  # fmt: skip
    write(tmp_path, graph={"nodes": [*latents, token]})
    done = run(tmp_path, "small.yaml", "--plan")
    assert done.returncode == 2
    assert done.stderr.startswith("node X: the graph's conditional tables must have at most")


def test_the_command_that_resumes_is_one_that_a_shell_takes(tmp_path: Path) -> None:
    words = ["question=Where is it?", "search.num_trials=3"]
    write(tmp_path)
    small = str(tmp_path / "small.yaml")
    study, options = (
        load_study(small, words),
        Options(tmp_path / "my results", address="10.0.0.1:6379"),
    )
    given = ["--out", str(options.out), "--address", "10.0.0.1:6379", "--resume"]
    assert shlex.split(resume_command(study, options)) == ["lrray", "study", small, *words, *given]
    assert resume_command(load_study(small), Options()) == f"lrray study {small} --resume"
