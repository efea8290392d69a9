"""What lrray 0.2.0 left in a user's folder stays valid: read, planned and resumed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lrray
from lrray.reports.report import write_report
from lrray.results.groups import groups_of
from lrray.results.record import DONE, CellRecord
from lrray.results.run import Run
from tests.studies import small_study
from tests.studies.small_study import run

FIXTURE = Path(__file__).parents[1] / "fixtures/0.2.0"
CELLS = {"rates": 4, "searched": 6, "small": 8, "tiny": 4, "hops": 1}
"""Study -> cells that it has finished."""

KEPT = {"small": ["--keep-code"], "hops": ["--keep-code"]}
"""Studies whose kinds compute other numbers now, and the word that keeps theirs."""

STUDIES = [
    "rates",
    *(pytest.param(name, marks=pytest.mark.slow) for name in CELLS if name != "rates"),
]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A user's folder: studies, modules and results."""
    shutil.copytree(FIXTURE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "runs").rename(tmp_path / "results")
    return tmp_path


def only_run(here: Path, study: str) -> Run:
    (path,) = (here / "results" / study).glob("*/")
    return Run(path)


def records(here: Path, study: str) -> dict[str, CellRecord]:
    return {record.id: record for record in only_run(here, study).records()}


@pytest.mark.parametrize("study", CELLS)
def test_its_runs_are_read(here: Path, study: str) -> None:
    run = only_run(here, study)
    assert [record.state for record in run.wanted_records()] == [DONE] * CELLS[study]
    assert run.state == "finished"
    assert groups_of(run.wanted_records())
    assert write_report(run.path)[0].stat().st_size > 10_000


@pytest.mark.parametrize("study", CELLS)
def test_a_plan_says_that_all_is_done(here: Path, study: str) -> None:
    before = records(here, study)
    ended = run(here, f"{study}.yaml", "--plan", *KEPT.get(study, []))
    assert ended.returncode == 0, ended.stderr
    assert "other code" not in ended.stdout
    done = {"searched": 6, "small": 6}.get(study, CELLS[study])  # trials of searches
    (line,) = (line for line in ended.stdout.splitlines() if "done already" in line)
    assert line.split() == ["done", "already", str(done)]
    assert records(here, study) == before


def test_a_plan_says_which_cells_gave_other_numbers_then(here: Path) -> None:
    ended = run(here, "small.yaml", "--plan")
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"done already +0\b", ended.stdout)
    assert "8 finished cells came from other code (results 1 of lrray 0.2.0" in ended.stdout
    assert "--keep-code" in ended.stdout


@pytest.mark.parametrize("study", STUDIES)
def test_a_resumed_run_computes_no_cell_again(here: Path, study: str) -> None:
    before = records(here, study)
    ended = run(here, f"{study}.yaml", "--resume", *KEPT.get(study, []))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    after = records(here, study)
    assert before.items() <= after.items()
    done = [(record.kind, record.settings) for record in before.values()]
    new = [record for cell_id, record in after.items() if cell_id not in before]
    assert not any((record.kind, record.settings) in done for record in new)
    if study == "small":  # pairs may be proposed at other places than 0.2.0 proposed them
        assert all(min(record.settings["seeds"]) >= 4 for record in new)  # no trial's draws
    else:
        assert not new
        assert not only_run(here, study).outdated()
    assert "other code" not in ended.stdout


def test_another_name_in_lrrays_own_code_outdates_nothing(here: Path) -> None:
    package = Path(lrray.__file__).parent
    shutil.copytree(package, here / "lrray", ignore=shutil.ignore_patterns("__pycache__"))
    learner = here / "lrray/training/learner.py"
    renamed = re.sub(r"\bloss\b", "mean_nats", learner.read_text())
    assert renamed.count("mean_nats") > 3
    learner.write_text(renamed)
    environment = {**small_study.environment(), "PYTHONPATH": str(here)}
    words = [sys.executable, "-m", "lrray.study", "tiny.yaml", "--plan"]
    ended = subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"done already +4\b", ended.stdout)
    assert "other code" not in ended.stdout


@pytest.mark.slow
def test_a_grown_study_takes_old_and_new_results_together(here: Path) -> None:
    study = here / "rates.yaml"
    study.write_text(study.read_text().replace("seed: [0, 1]", "seed: [0, 1, 2]"))
    before = records(here, "rates")
    ended = run(here, study, "--resume")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    after = records(here, "rates")
    assert before.items() <= after.items()
    assert {record.code[:9] for record in after.values() if record.id not in before} == {
        "results 1"
    }
    assert sorted(
        len(group.records) for group in groups_of(only_run(here, "rates").wanted_records())
    ) == [3, 3]
