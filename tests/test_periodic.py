"""What is done again and again goes on after a call that failed."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from lrray.errors import StorageError
from lrray.periodic import Rhythm
from lrray.results import lock
from lrray.results.folder import RunFolder
from lrray.results.lock import FolderLock
from lrray.storage import cells
from lrray.storage.folder import StoredFolder
from lrray.storage.objects import Store
from lrray.studies.cell import Cell
from tests.waiting import comes_true


@pytest.mark.parametrize("error", [OSError("no answer"), StorageError("s3://x", "no answer")])
def test_a_failed_call_is_not_the_last(error: Exception) -> None:
    calls = []
    again = threading.Event()

    def do() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise error
        again.set()

    rhythm = Rhythm(do, 0.01)
    rhythm.start()
    assert again.wait(60)
    rhythm.stop()


def test_a_lock_that_could_not_be_renewed_once_is_renewed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.05)
    path = tmp_path / "lock.json"
    with FolderLock(tmp_path):
        path.rename(tmp_path / "away")  # as on a network disk that does not answer
        time.sleep(0.3)
        (tmp_path / "away").rename(path)
        os.utime(path, (0, 0))
        assert comes_true(lambda: path.stat().st_mtime > 0)


def test_a_checkpoint_that_could_not_be_copied_is_copied_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "PUSH_S", 0.05)
    run = RunFolder(tmp_path / "study" / "run").path
    (run / "cells").mkdir(parents=True)
    folder = StoredFolder(run, Store(str(tmp_path / "storage")).below("study/run"))
    cell = Cell("function", {}, {}, "c0de")

    def run_cell(cell: Cell, commit: cells.Commit) -> None:
        mark = run / "checkpoints" / f"{cell.id}.json"
        mark.mkdir(parents=True)  # cannot be written
        (run / "checkpoints" / cell.id).mkdir()
        (run / "checkpoints" / cell.id / "step").write_text("1")
        commit()
        assert comes_true(lambda: f"checkpoints/{cell.id}.json" in folder.store.listing())
        mark.rmdir()
        assert comes_true(mark.is_file)

    cells.checkpointed(run_cell, folder)(cell)
