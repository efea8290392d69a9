"""What is said of finished cells that came from other code."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lrray.results.code_copy import save_code
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells, keep_codes
from lrray.runs.superseded import lines_about
from lrray.studies.cell import Cell
from lrray.studies.code import UserCode, user_code

CELL = Cell("function", {"function": "told_main:f", "settings": {}, "seed": 0}, {}, "results 1")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "told_main.py").write_text("import told_helper\n")
    (tmp_path / "told_helper.py").write_text("FACTOR = 2\n")
    return tmp_path


@pytest.fixture
def folder(here: Path) -> RunFolder:
    return RunFolder.create(Path("results"), "told")


def finished(folder: RunFolder, code: str, number: int = 1) -> None:
    for seed in range(number):
        cell = replace(CELL, settings={**CELL.settings, "seed": seed}, code=code)
        folder.save_cell(cell, {"loss": 1.0}, 1.0)


def said(folder: RunFolder, now: UserCode, code: str, number: int = 1) -> list[str]:
    known = KnownCells.of(folder)
    for seed in range(number):
        known.adopt(replace(CELL, settings={**CELL.settings, "seed": seed}, code=code))
    codes = [now] if now.modules else []
    return lines_about(known.superseded_records, folder, codes, "They run again.")


def test_the_file_that_changed_is_named_with_its_time_and_the_difference(
    here: Path, folder: RunFolder
) -> None:
    before = user_code(["told_main"])
    save_code(folder, before)
    finished(folder, f"results 1 {before.digest}", 15)
    (here / "told_helper.py").write_text("FACTOR = 3\n")
    os.utime(here / "told_helper.py", (time.time() - 720, time.time() - 720))
    now = user_code(["told_main"])
    lines = said(folder, now, f"results 1 {now.digest}", 15)
    assert lines == [
        "15 finished cells came from other code (told_helper.py changed 12 min 00 s ago; "
        f"difference: {folder.path}/code.diff)",
        "They run again.",
    ]
    assert "-FACTOR = 2\n+FACTOR = 3\n" in (folder.path / "code.diff").read_text()
    keep_codes(folder)
    assert not said(folder, now, f"results 1 {now.digest}", 15)


def test_a_module_that_came_and_one_that_went_are_named(here: Path, folder: RunFolder) -> None:
    before = user_code(["told_main"])
    save_code(folder, before)
    finished(folder, f"results 1 {before.digest}")
    (here / "told_main.py").write_text("import told_other\n")
    (here / "told_other.py").write_text("FACTOR = 3\n")
    now = user_code(["told_main"])
    line, _ = said(folder, now, f"results 1 {now.digest}")
    assert line.startswith("1 finished cell came from other code (told_main.py changed 0 s ago, ")
    assert "told_other.py changed" in line
    assert "told_helper is gone" in line


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("results 7", "results 7 of lrray, which gives results 1 now"),
        ("results 1", "of an installed package"),
        ("results 1 0123456789abcdef", "of which this run keeps no copy"),
        (
            "0123456789abcdef",
            "results 1 of lrray 0.2.0, which gives results 1 now; it kept no copy of "
            "told_helper.py, told_main.py",
        ),
    ],
)
def test_other_reasons_are_said_as_well(
    here: Path, folder: RunFolder, code: str, reason: str
) -> None:
    finished(folder, code)
    now = user_code(["told_main"])
    line, _ = said(folder, now, f"results 1 {now.digest}")
    assert line == f"1 finished cell came from other code ({reason})"


def test_nothing_is_said_where_nothing_changed(here: Path, folder: RunFolder) -> None:
    now = user_code(["told_main"])
    finished(folder, f"results 1 {now.digest}")
    assert not said(folder, now, f"results 1 {now.digest}")
