"""Folders that are damaged, full, read-only or in use."""

import os
import subprocess

import pytest

from tests.disk import small_disk
from tests.faults.driver import cells, finish, kill, only_run, start, wait_for, write_study

pytestmark = pytest.mark.slow

FIVE = {"settings.i": {"start": 0, "stop": 5}}


def test_damaged_result_files_are_put_aside_and_computed_again(tmp_path):
    study, out = write_study(tmp_path, "raises", {"settings.i": [3, 4, 5]}), tmp_path / "out"
    assert finish(study, out)[0] == 0
    run = only_run(out)
    truncated, changed, whole = sorted((run / "cells").glob("*.json"))
    truncated.write_text(truncated.read_text()[:40])
    changed.write_text(changed.read_text().replace('"value": ', '"value": 1'))
    kept = whole.stat().st_mtime_ns
    assert finish(study, out, "--resume")[0] == 0
    assert len(cells(run)) == 3
    assert whole.stat().st_mtime_ns == kept
    assert len(list((run / "quarantine").iterdir())) == 2


def test_a_second_driver_is_refused_with_the_first_ones_host_and_pid(tmp_path):
    settings = {"log": str(tmp_path / "log"), "seconds": 2.0}
    study, out = write_study(tmp_path, "counted", FIVE, settings), tmp_path / "out"
    (tmp_path / "log.allowed").write_text("0")  # the first one cannot end before the second looks
    first = start(study, out)
    try:
        wait_for(lambda: list(out.glob("faulty/*/lock.json")), within_s=60)
        wait_for(lambda: list(out.glob("faulty/*/study.yaml")))
        code, output = finish(study, out, "--resume")
    finally:
        kill(first)
    assert code == 2
    assert f"another driver works here: host {os.uname().nodename}, pid {first.pid}" in output


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_fails_with_one_line_and_the_study_resumes_when_there_is_room(tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk, "size=256k") as is_mounted:
        if not is_mounted:
            pytest.skip("this machine does not let tests mount a tmpfs")
        grid = {"settings.i": {"start": 0, "stop": 200}}
        study = write_study(tmp_path, "counted", grid, {"log": "/dev/null", "seconds": 0.0})
        code, output = finish(study, disk / "out")
        assert code in (1, 2)
        assert "No space left on device" in output
        assert "Traceback" not in output
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        code, output = finish(study, disk / "out", "--resume", "--retry-failed")
        assert code == 0, output
        assert len(cells(only_run(disk / "out"))) == 200


def test_a_cell_without_room_ends_the_study_in_one_line_and_resuming_goes_on(tmp_path):
    room = tmp_path / "room"
    resources = {"max_concurrent": 1}
    settings = {"room": str(room)}
    study = write_study(tmp_path, "fills_a_disk", FIVE, settings, resources=resources)
    code, output = finish(study, tmp_path / "out")
    assert code == 1
    assert output.strip().splitlines()[-1] == (
        f"{os.uname().nodename}: [Errno 28] No space left on device "
        "(fix: make room, then run the same command with --resume)"
    )
    assert "Traceback" not in output
    assert not any(record.state == "failed" for record in cells(only_run(tmp_path / "out")))
    room.touch()
    code, output = finish(study, tmp_path / "out", "--resume")
    assert code == 0, output


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only disk needs root")
def test_a_read_only_results_folder_is_refused_in_one_line(tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk, "ro,size=64k") as is_mounted:
        if not is_mounted:
            pytest.skip("this machine does not let tests mount a tmpfs")
        code, output = finish(write_study(tmp_path, "raises", FIVE), disk / "out")
    assert code == 2
    assert "cannot be made: Read-only file system" in output
    assert len(output.strip().splitlines()) == 1
