"""Full, read-only, narrow and oddly named machines: a study runs, or one true line says why."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disk import small_disk
from tests.faults.driver import ROOT

pytestmark = pytest.mark.slow

STUDY = """
kind: function
question: q
hypothesis: h
function: cells_here:f
grid: {settings.a: [1, 2]}
"""
QUIET = "def f(a=1): return {'loss': a}"
LOUD = """
import os
def f(a=1):
    for _ in range(50):
        os.write(1, (b"x" * 1023 + b"\\n") * 1024)
    return {"loss": a}
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return bring(tmp_path / "here")


def bring(folder: Path, cells: str = QUIET) -> Path:
    """A folder with a study of two cells."""
    folder.mkdir(parents=True)
    (folder / "s.yaml").write_text(STUDY)
    (folder / "cells_here.py").write_text(cells)
    return folder


def run(folder: Path, before: str = "", out: str = "out", **env: str) -> tuple[int, str]:
    """``lrray study s.yaml`` as a shell in that folder starts it; code and all output."""
    command = f'{before} exec "$PYTHON" -m lrray.study s.yaml --out {out} --address local'
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, timeout=240, check=False,
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), **env},
    )  # fmt: skip
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert "Traceback" not in said, said
    return done.returncode, said


def finished(out: Path) -> int:
    return len(list(out.glob("s/*/cells/*.json")))


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A tiny file system, which a test may fill and make read-only."""
    path = tmp_path / "mounted"
    with small_disk(path, "size=64k") as is_mounted:
        if not is_mounted:
            pytest.skip("this machine does not let tests mount a tmpfs")
        yield path


def test_a_hundred_megabytes_of_prints(tmp_path: Path) -> None:
    folder = bring(tmp_path / "here", LOUD)
    code, said = run(folder)
    assert (code, finished(folder / "out")) == (0, 2), said[-2000:]
    kept = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert kept < 2**20


def test_few_open_files(here: Path) -> None:
    code, said = run(here, "ulimit -n 256;")
    if code == 0:
        assert finished(here / "out") == 2
    else:
        assert "ulimit -n" in said


def test_a_folder_with_spaces_brackets_a_newline_and_200_characters(tmp_path: Path) -> None:
    folder = bring(tmp_path / "my [new]\nstudies" / ("x" * 200))
    code, said = run(folder)
    assert (code, finished(folder / "out")) == (0, 2), said


@pytest.mark.parametrize("name", ["TMPDIR", "HOME"])
def test_a_full_or_read_only_place_is_passed_over_or_named(
    here: Path, mounted: Path, name: str
) -> None:
    for state in ("full", "read-only"):
        if state == "full":
            with pytest.raises(OSError, match="No space"):
                (mounted / "filler").write_bytes(b"x" * 2**20)
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
        code, said = run(here, out=state, **{name: str(mounted)})
        if code == 0:
            assert finished(here / state) == 2
        else:
            assert str(mounted) in said
            assert "RESULTS" not in said


def test_a_path_that_the_locale_cannot_encode(tmp_path: Path) -> None:
    folder = bring(tmp_path / "études-数据")
    code, said = run(folder, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    if code == 0:
        assert finished(folder / "out") == 2
    else:
        assert "no Ray cluster answers" not in said
        assert "locale" in said or "encode" in said


def test_a_working_folder_that_is_deleted(here: Path) -> None:
    code, said = run(here, 'mkdir gone; cd gone; rmdir "$PWD";', out="out")
    assert code == 2
    assert "working folder" in said or "current folder" in said, said
