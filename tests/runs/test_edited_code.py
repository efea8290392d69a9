"""A study whose code is edited: between two starts, and while it runs."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from lrray.config import dump_yaml
from lrray.reports.report import write_report
from lrray.results.groups import groups_of
from lrray.results.run import Run
from tests.studies.small_study import command, environment, run

OPT = '''"""The study's function."""

import time
from pathlib import Path

from steps import size

OFFSET = float((Path(__file__).parent / "offset.txt").read_text())


def measure(rate, seed, wait=False):
    Path("begun").mkdir(exist_ok=True)
    Path(f"begun/{seed}").touch()
    while wait and not Path("go").exists():
        time.sleep(0.05)
    return {"loss": size(rate) + OFFSET}
'''
STEPS = "def size(rate):\n    return 2 * rate\n"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A user's folder with a function, what it imports, and data beside it."""
    (tmp_path / "opt3.py").write_text(OPT)
    (tmp_path / "steps.py").write_text(STEPS)
    (tmp_path / "offset.txt").write_text("0.5")
    study = {
        "kind": "function", "question": "Which rate?", "hypothesis": "The small one.",
        "function": "opt3:measure", "settings": {"rate": 1.0}, "grid": {"seed": [0, 1, 2]},
    }  # fmt: skip
    (tmp_path / "rates.yaml").write_text(dump_yaml(study))
    return tmp_path


def study(here: Path, *words: str) -> str:
    ended = run(here, "rates.yaml", *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def the_run(here: Path) -> Run:
    (path,) = (here / "results/rates").glob("*/")
    return Run(path)


def losses(here: Path) -> list[float]:
    return [record.result["loss"] for record in the_run(here).wanted_records()]


@pytest.mark.slow
def test_edits_between_starts_are_told_and_kept_where_asked(here: Path) -> None:
    study(here)
    first = the_run(here)
    copies = {path.name: path.read_text() for path in first.path.glob("code/*/*.py")}
    assert copies == {"opt3.py": OPT, "steps.py": STEPS}
    assert losses(here) == [2.5] * 3

    (here / "opt3.py").write_text(OPT.replace("The study's", "A study's"))
    assert "other code" not in study(here, "--plan")  # a docstring computes nothing

    (here / "steps.py").write_text(STEPS.replace("2 *", "3 *"))
    said = study(here, "--plan")
    assert re.search(r"done already +0\b", said)
    told = re.search(
        r"3 finished cells came from other code "
        r"\((opt3\.py changed \d+ s ago, )?steps\.py changed \d+ s ago; difference: (.+)\)",
        said,
    )
    assert told is not None, said
    difference = (here / told[2]).read_text()
    assert "-    return 2 * rate\n+    return 3 * rate\n" in difference
    assert "--keep-code" in said
    assert re.search(r"done already +3\b", study(here, "--plan", "--keep-code"))

    said = study(here, "--resume", "--keep-code")
    assert "other code" not in said
    assert losses(here) == [2.5] * 3
    assert not the_run(here).outdated()

    # What is kept stays kept, also beside new cells, of which reports make one group.
    said = study(here, "--resume", "grid.seed=[0,1,2,3]")
    assert "other code" not in said
    assert losses(here).count(2.5) == 3
    assert losses(here).count(3.5) == 1
    (group,) = groups_of(the_run(here).wanted_records())
    assert len(group.records) == 4
    write_report(the_run(here).path)

    # A further edit: only what came from the edit before is run again.
    (here / "steps.py").write_text(STEPS.replace("2 *", "4 *"))
    said = study(here, "--resume", "grid.seed=[0,1,2,3]")
    assert "1 finished cell came from other code" in said
    assert "They run again; with --keep-code they would be kept." in said
    assert losses(here).count(2.5) == 3
    assert losses(here).count(4.5) == 1
    assert len(the_run(here).outdated()) == 1


def test_an_edit_during_a_run_changes_nothing_until_the_next_start(here: Path) -> None:
    words = ("rates.yaml", "settings.wait=true", "resources.max_concurrent=1")
    driver = subprocess.Popen(
        command(*words), cwd=here, env=environment(), stdout=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 120
    while not list(here.glob("begun/*")):
        assert driver.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)
    # The worker holds the modules; another one, begun later, would import the edited ones.
    (here / "steps.py").write_text(STEPS.replace("2 *", "3 *"))
    (here / "opt3.py").write_text("raise RuntimeError('edited')\n")
    killed = [line.split()[1] for line in _workers(driver.pid)]
    assert killed
    for pid in killed:
        subprocess.run(["kill", "-9", pid], check=False)
    (here / "go").touch()
    output = driver.communicate(timeout=300)[0]
    assert driver.returncode == 0, output
    assert losses(here) == [2.5] * 3
    assert sorted(path.name for path in here.glob("begun/*")) == ["0", "1", "2"]

    (here / "opt3.py").write_text(OPT)
    said = run(here, *words, "--plan").stdout
    assert "3 finished cells came from other code (steps.py changed" in said


def _workers(driver: int) -> list[str]:
    """Processes that compute this driver's cells."""
    listed = subprocess.run(["ps", "-eo", "ppid,pid,args"], capture_output=True, text=True)
    lines, family = listed.stdout.splitlines()[1:], {str(driver)}
    for _ in range(5):
        family |= {line.split()[1] for line in lines if line.split()[0] in family}
    return [line for line in lines if line.split()[1] in family and "ray::Implicit" in line]
