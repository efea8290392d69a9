"""The wheel and the source archive hold what they must; the wheel works away from its source."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("studies", "search_spaces")
TINY = (
    "search.num_trials=9", "seeds=2", "seq_len=256", "sequences_per_seed=2", "entropy_sequences=0",
    "pairs.num_seeds=4", "pairs.max_rounds=1", "pairs.entropy_sequences=0", "target.tolerance=0.5",
)  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with both archives; the wheel is built from the source archive alone."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(built):
    [path] = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that the wheel is installed into; its dependencies are those of the tests."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(site), str(wheel)], check=True, timeout=120)
    return site


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed command in ``folder``; the source tree is not on its path."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(installed / "bin" / "lrray"), *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip


def files(folder: str) -> set[str]:
    """The files below a folder of the source tree, caches left out."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {p.relative_to(ROOT).as_posix() for p in found if "__pycache__" not in p.parts}


def test_the_wheel_holds_the_package_and_all_that_ships_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        about = next(name for name in archive.namelist() if name.endswith("METADATA"))
        metadata = Parser().parsestr(archive.read(about).decode())
        licences = [name for name in archive.namelist() if "/licenses/" in name]
    shipped = {f"lrray/shipped/{name}" for folder in SHIPPED for name in files(folder)}
    assert names == files("lrray") | shipped
    assert (metadata["Name"], metadata["License-Expression"]) == ("lrray", "Apache-2.0")
    assert licences


def test_the_source_archive_holds_tests_and_documentation_too(built):
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = set().union(
        *(files(name) for name in ("lrray", "tests", "docs", "benchmarks", *SHIPPED))
    )
    single = {
        "Makefile",
        "constraints.txt",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
    }
    assert (wanted | single) - names == set()
    assert not [name for name in names if name.startswith(("results/", ".venv/", "build/"))]


def test_a_study_runs_from_another_folder(installed, tmp_path):
    done = run(installed, tmp_path, "study", "difficulty", *TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    [made] = (tmp_path / "results" / "difficulty").iterdir()
    assert {"pairs.yaml", "report.html", "contour.png"} <= {path.name for path in made.iterdir()}


def test_shipped_studies_pairs_graphs_and_facts_are_found_from_another_folder(installed, tmp_path):
    listed = run(installed, tmp_path, "study", "--list")
    for study in (ROOT / "studies").glob("*.yaml"):
        assert study.stem in listed.stdout
    for words in (
        ("study", "latents", "scale=small", "--plan"),
        ("study", "difficulty", "graph=studies/graphs/chain.yaml", "--plan"),
        ("twohop", "build", "parks", "--out", "data"),
    ):
        done = run(installed, tmp_path, *words)
        assert done.returncode == 0, done.stderr
    where = "import lrray; print(lrray.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", where]
    shown = subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)
    assert shown.startswith(str(installed))
