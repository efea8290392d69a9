"""What killed processes leave behind goes at the next start; what living ones use stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lrray.files import remove_stale_below, whole_file
from lrray.processes import lives, own_mark
from lrray.results.folder import RunFolder
from lrray.scratch import hold, is_used, remove_unused, scratch_folder
from lrray.studies.cell import Cell

WAITS = """
import sys
from pathlib import Path
from lrray.files import whole_file
from lrray.scratch import scratch_folder
with scratch_folder("test") as folder, whole_file(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)


def waiting(target: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process in a scratch folder that is about to write a file, and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_killed_process_leaves_what_the_next_one_removes(tmp_path: Path) -> None:
    target = tmp_path / "cells" / "a.json"
    (killed, left), (living, used) = waiting(target), waiting(target)
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert left.is_dir()
        assert len(list(target.parent.iterdir())) == 2
        with scratch_folder("test") as own:
            assert {path.name for path in own.parent.iterdir()} == {own.name, used.name}
        remove_stale_below(tmp_path / "cells")
        (half,) = target.parent.iterdir()
        assert f"-{living.pid}-" in half.name
    finally:
        living.communicate("")
    assert target.read_text() == "half"
    assert not used.exists()


def test_folders_that_never_had_a_user_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "lrray-test-foreign").mkdir()
    assert is_used(tmp_path / "lrray-test-foreign") is None
    remove_unused(tmp_path, "lrray-*")
    assert (tmp_path / "lrray-test-foreign").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, which root alone may")
def test_folders_of_other_users_and_links_are_left_alone(tmp_path: Path) -> None:
    for name in ("theirs", "linked"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".used").touch()
    os.chown(tmp_path / "theirs", 65534, 65534)
    (tmp_path / "link").symlink_to(tmp_path / "linked")
    remove_unused(tmp_path, "t*")
    remove_unused(tmp_path, "link")
    assert (tmp_path / "theirs" / ".used").exists()
    assert (tmp_path / "linked" / ".used").exists()
    remove_unused(tmp_path, "linked")
    assert not (tmp_path / "linked").exists()


def test_a_folder_may_have_several_users(tmp_path: Path) -> None:
    hold(tmp_path)
    hold(tmp_path)
    assert is_used(tmp_path) is True
    assert [path.name for path in tmp_path.glob(".used*")] == [".used"]


def test_a_mark_names_this_process_alone() -> None:
    kernel, pid, start = own_mark().split("-")
    assert lives(own_mark()) is True
    assert lives(f"{kernel}-{pid}-{int(start) + 1}") is False
    assert lives(f"00000000-{pid}-{start}") is None


def test_notes_of_tries_go_with_the_cells_that_have_ended(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    cell = Cell(kind="function", settings={}, axes={}, code="")
    folder.save_cell(cell, {"value": 1.0}, 1.0)
    for name in (cell.id, "unfinished"):
        folder.write_text(f"attempts/{name}.json", "{}")
    with pytest.raises(RuntimeError), whole_file(tmp_path / "x"):
        raise RuntimeError
    folder.remove_leftovers()
    assert [path.name for path in (tmp_path / "attempts").iterdir()] == ["unfinished.json"]
    assert folder.cell_path(cell.id).exists()
