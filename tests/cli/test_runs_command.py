"""``lrray runs``: the real command on folders as runs leave them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lrray.results.lock import FolderLock
from tests.results.test_find import make_run
from tests.studies.small_study import environment


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name, failed in (("a/20260101-000000-aaaa", 1), ("b/20260102-000000-bbbb", 0)):
        path = make_run(tmp_path / "results", name, "cells/1.json", "cells/2.json")
        (path / "summary.json").write_text(json.dumps({"failed": failed}))
    make_run(tmp_path / "results", "b/20260103-000000-cccc", "cells/1.json")
    return tmp_path / "results"


def runs(results: Path, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from lrray.cli.app import main; main()", "runs", *words]
    return subprocess.run(
        command, cwd=results.parent, env={**environment(), "COLUMNS": "200"}, input=said,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def rows(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()[1:]]


def test_list_shows_state_cells_and_failures(results: Path) -> None:
    assert [row[:4] for row in rows(runs(results, "list"))] == [
        ["a/20260101-000000-aaaa", "finished", "2", "1"],
        ["b/20260102-000000-bbbb", "finished", "2", "0"],
        ["b/20260103-000000-cccc", "stopped", "1", "30"],  # no status: what follows is its size
    ]
    assert [row[0] for row in rows(runs(results, "list", "a"))] == ["a/20260101-000000-aaaa"]
    assert runs(results, "list", "c").stdout == "No run of c in results.\n"


def test_a_tag_names_a_run_once_and_keeps_it(results: Path) -> None:
    assert runs(results, "tag", "a", "base").stdout == "a/20260101-000000-aaaa: base\n"
    assert rows(runs(results, "list", "a"))[0][-1] == "base"
    assert "a/20260101-000000-aaaa" in runs(results, "show", "base").stdout
    taken = runs(results, "tag", "b", "base")
    assert taken.returncode == 2
    assert taken.stderr.startswith("base: is the tag of a/20260101-000000-aaaa already (fix: ")
    kept = runs(results, "rm", "base", "--yes")
    assert kept.returncode == 2
    assert kept.stderr.startswith("a/20260101-000000-aaaa: is tagged base (fix: ")
    assert runs(results, "tag", "base", "base", "--remove").returncode == 0
    assert runs(results, "rm", "a", "--yes").returncode == 0
    assert not (results / "a/20260101-000000-aaaa").exists()


def test_a_tag_is_a_plain_word(results: Path) -> None:
    wrong = runs(results, "tag", "a", "../x")
    assert (wrong.returncode, wrong.stderr) == (
        2, "NAME: must be of letters, digits, - _ and ., but got '../x' (fix: baseline)\n",
    )  # fmt: skip


def test_rm_asks_says_what_goes_and_removes_no_more(results: Path) -> None:
    asked = runs(results, "rm", "20260102", "20260103-000000-cccc", said="n\n")
    assert asked.returncode == 1
    assert "20260102-000000-bbbb: 2 finished cells, " in asked.stdout
    assert "20260103-000000-cccc: 1 finished cell, " in asked.stdout
    assert len(list(results.glob("*/*"))) == 3
    assert runs(results, "rm", "20260102", said="y\n").returncode == 0
    left = sorted(path.name for path in results.glob("*/*"))
    assert left == ["20260101-000000-aaaa", "20260103-000000-cccc"]


def test_a_running_run_is_not_removed(results: Path) -> None:
    path = results / "b/20260103-000000-cccc"
    with FolderLock(path):
        refused = runs(results, "rm", "b", "--yes")
        assert refused.returncode == 2
        assert refused.stderr.startswith("b/20260103-000000-cccc: is running")
    assert path.exists()
