"""Where a storage does not answer, training goes on and a driver that is to stop does so."""

from __future__ import annotations

import _thread
import threading
import time
from pathlib import Path

import pytest

from lrray.errors import StorageError
from lrray.execution.stopping import StopFlag
from lrray.storage import sync
from lrray.storage.folder import StoredFolder
from lrray.storage.objects import Store
from lrray.studies.cell import Cell

CELL = Cell("train", {"seed": 0}, {"seed": 0}, "c0de")


@pytest.fixture
def folder(tmp_path: Path) -> StoredFolder:
    """A run whose storage is away for good, and which would wait ten minutes for it."""
    (tmp_path / "file").touch()  # nothing can lie below it
    path = tmp_path / "study" / "run"
    (path / "cells").mkdir(parents=True)
    return StoredFolder(path, Store(str(tmp_path / "file" / "storage")).below("study/run"))


def waits(folder: StoredFolder) -> list[str]:
    """What the patient store says from now on while it waits."""
    lines: list[str] = []
    object.__setattr__(folder.store, "say", lines.append)
    return lines


def test_a_cell_asks_once_whether_to_stop_and_goes_on(folder: StoredFolder) -> None:
    said = waits(folder)
    assert not StopFlag(CELL, folder, "driver")()
    assert said == []


def test_a_driver_that_stops_asks_its_cells_once(folder: StoredFolder) -> None:
    said = waits(folder)
    with pytest.raises(StorageError):
        folder.ask_to_stop("driver")
    with pytest.raises(StorageError):
        folder.is_running(CELL.id)
    assert said == []


def test_files_come_and_go_without_making_the_end_of_a_driver_wait(
    folder: StoredFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once that the storage is away, and once that it is back."""
    monkeypatch.setattr(sync, "RHYTHM_S", 0.05)
    said = waits(folder)
    (folder.path / "status.json").write_text("{}")
    exchange = sync.Sync(folder)
    exchange.rhythm.start()
    time.sleep(0.5)
    (line,) = said  # the store itself would tell how long it is patient
    assert line.startswith(f"{folder.store} does not answer (")
    assert line.endswith("trying again and again")
    Path(folder.store.address).parent.unlink()  # what was in the way
    deadline = time.monotonic() + 60
    while len(said) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    exchange.rhythm.stop()
    assert said[1:] == [f"{folder.store} answers again"]


def test_ctrl_c_ends_the_wait_for_many_files(folder: StoredFolder) -> None:
    said = waits(folder)

    ended = threading.Event()

    def interrupt() -> None:
        while not said:
            time.sleep(0.05)
        while not ended.wait(1):  # as a user does: one that strikes in a destructor is lost
            _thread.interrupt_main()

    def fetch() -> None:
        try:
            folder.fetch(f"metrics/{i}.jsonl" for i in range(40))
        finally:
            ended.set()

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        fetch()
    waiting = [thread.name for thread in threading.enumerate() if "ThreadPool" in thread.name]
    assert waiting == []
