"""A driver that stops ends its own cells alone, and no cell that it left is held to be over."""

from __future__ import annotations

import errno
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ray.exceptions import RayActorError
from ray.train.v2._internal.exceptions import (
    UserExceptionWithTraceback,
    WorkerHealthCheckFailedError,
)

from lrray.errors import NO_ROOM, StorageError, no_room
from lrray.execution.process_group import WorkerLost, outer_reason
from lrray.execution.stopping import StopFlag
from lrray.results.folder import STOP, RunFolder
from lrray.results.record import STOPPED
from lrray.search.fixed import FixedCells
from lrray.storage import lease as store_lock
from lrray.storage.folder import StoredFolder
from lrray.storage.objects import Store
from lrray.storage.sync import synced
from lrray.studies.cell import Cell

CELL = Cell("train", {"seed": 0}, {"seed": 0}, "c0de")


def stored(tmp_path: Path, driver: str) -> StoredFolder:
    """The same stored run on the machine of one driver."""
    path = tmp_path / driver / "study" / "run"
    (path / "cells").mkdir(parents=True)
    return StoredFolder(path, Store(str(tmp_path / "storage")).below("study/run"))


def test_cells_obey_their_own_driver_alone(tmp_path: Path) -> None:
    one, other = stored(tmp_path, "one"), stored(tmp_path, "other")
    for asking, asked in ((RunFolder(one.path), RunFolder(one.path)), (one, other)):
        asking.ask_to_stop("a driver that was taken for dead")
        assert not StopFlag(CELL, asked, "its successor")()
        asking.ask_to_stop("its successor")
        assert StopFlag(CELL, asked, "its successor")()
        asked.forget_stop()
        assert not StopFlag(CELL, asked, "its successor")()


@pytest.mark.parametrize("has_scheduler", [False, True])
def test_a_cell_without_a_record_is_over_only_where_a_scheduler_stops_cells(
    tmp_path: Path, has_scheduler: bool
) -> None:
    folder = RunFolder.create(tmp_path, "study")
    source = FixedCells(folder, [CELL], slots=lambda: 1)
    source.has_scheduler = has_scheduler
    source.hand_out("trial")
    source.trial_ended("trial")
    record = folder.load_cell(CELL.id)
    assert (record and record.state) == (STOPPED if has_scheduler else None)


def test_a_trial_without_room_ends_the_study_and_leaves_its_cell_to_be_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "study")
    source = FixedCells(folder, [CELL, replace(CELL, settings={"seed": 1})], slots=lambda: 1)
    source.has_scheduler = True
    source.hand_out("trial")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/results/x")
    source.trial_ended("trial", no_room=no_room(full)[NO_ROOM])
    assert folder.load_cell(CELL.id) is None
    assert source.hand_out("another") == []
    assert str(source.broken) == (
        f"{os.uname().nodename}: [Errno 28] No space left on device: '/results/x' "
        "(fix: make room, then run the same command with --resume)"
    )


def test_a_rank_without_room_or_storage_is_the_reason_that_counts() -> None:
    outage = StorageError("s3://x", "does not answer")
    lost = WorkerHealthCheckFailedError("", RayActorError())
    assert outer_reason([lost, UserExceptionWithTraceback(outage, "")]) is outage
    assert isinstance(
        outer_reason([UserExceptionWithTraceback(ValueError(), ""), lost]), WorkerLost
    )
    assert outer_reason([UserExceptionWithTraceback(ValueError(), "")]) is None


def test_a_driver_that_lost_its_run_leaves_nothing_in_the_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_lock, "HEARTBEAT_S", 0.1)
    folder = stored(tmp_path, "sleeper")
    lock = {"host": "elsewhere", "pid": 7, "started": "1", "token": "t", "beat": time.time()}

    def work_on() -> None:
        with synced(folder, lambda line: None):
            (folder.path / "summary.json").write_text("{}")
            for _ in range(600):  # a driver beats: one note may fall between reading and writing
                folder.store.put("lock.json", json.dumps(lock).encode())
                time.sleep(0.1)

    with pytest.raises(KeyboardInterrupt):
        work_on()
    with pytest.raises(StorageError, match="another driver has taken it over"):
        folder.ask_to_stop("sleeper")
    assert list(folder.store.listing()) == ["lock.json"]
    assert not (folder.path / STOP).exists()
