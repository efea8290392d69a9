"""One driver per folder, whatever happened to the one before."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lrray.errors import LrrayError
from lrray.results.lock import STALE_S, FolderLock, is_held
from tests.studies.small_study import environment

HOLD = """
import sys
from pathlib import Path
from lrray.results.lock import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts real drivers that hold the folder's lock for as long as the test runs."""
    started = []

    def start_one() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)],
            env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def hold(start: Callable[[], subprocess.Popen[str]]) -> Callable[[], subprocess.Popen[str]]:
    """Starts one and waits until it has the lock."""

    def hold_it() -> subprocess.Popen[str]:
        process = start()
        assert first_line(process) == "held\n"
        return process

    return hold_it


def first_line(process: subprocess.Popen[str]) -> str:
    """What a driver says first; empty where it ended without the lock."""
    assert process.stdout is not None
    return process.stdout.readline()


def holder(folder: Path) -> dict[str, object]:
    return json.loads((folder / "lock.json").read_text())


def test_a_second_driver_is_refused_with_host_and_pid_of_the_first(tmp_path, hold) -> None:
    first = hold()
    assert is_held(tmp_path)
    with pytest.raises(LrrayError) as caught, FolderLock(tmp_path):
        pass
    host = os.uname().nodename
    assert str(caught.value) == (
        f"{tmp_path}: another driver works here: host {host}, pid {first.pid} "
        "(fix: wait for it, or stop it first)"
    )
    assert holder(tmp_path)["pid"] == first.pid  # still the first one's


def test_the_lock_is_gone_when_its_driver_ends(tmp_path) -> None:
    with FolderLock(tmp_path):
        assert holder(tmp_path)["pid"] == os.getpid()
    assert not is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_drivers_lock_is_taken_over(tmp_path, hold) -> None:
    first = hold()
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not is_held(tmp_path)
    with FolderLock(tmp_path):
        assert holder(tmp_path)["pid"] == os.getpid()


def test_a_pid_that_another_process_uses_again_does_not_hold_the_lock(tmp_path, hold) -> None:
    first = hold()
    description = {**holder(tmp_path), "pid": os.getpid()}  # it lives, but started later
    first.kill()
    first.wait()
    (tmp_path / "lock.json").write_text(json.dumps(description))
    assert not is_held(tmp_path)
    with FolderLock(tmp_path):
        assert holder(tmp_path)["started"] != description["started"]


@pytest.mark.parametrize("content", ["", '{"host": "h', "[]", "{}", '{"pid": 1}'])
def test_a_lock_that_was_written_half_does_not_block(tmp_path, content) -> None:
    (tmp_path / "lock.json").write_text(content)
    assert not is_held(tmp_path)
    with FolderLock(tmp_path):
        assert holder(tmp_path)["pid"] == os.getpid()


@pytest.mark.parametrize(("age_s", "held"), [(0, True), (STALE_S / 2, True), (2 * STALE_S, False)])
def test_another_hosts_lock_counts_while_it_is_renewed(tmp_path, age_s, held) -> None:
    path = tmp_path / "lock.json"
    path.write_text(json.dumps({"host": "another", "pid": os.getpid(), "started": "1"}))
    os.utime(path, (time.time() - age_s,) * 2)
    assert is_held(tmp_path) == held
    if held:
        with pytest.raises(LrrayError, match="host another"), FolderLock(tmp_path):
            pass


def in_a_container(folder: Path, code: str = HOLD) -> list[str]:
    """The command of a driver with the same host name, and pids that mean nothing out here."""
    return ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-c",
            code, str(folder)]  # fmt: skip


def can_make_a_container() -> bool:
    command = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def kill(inside: subprocess.Popen[str]) -> None:
    """Kills the driver in a container; its input stays open until then, so it does not end."""
    inside.kill()
    inside.wait()
    inside.communicate()


def age(folder: Path, age_s: float) -> None:
    os.utime(folder / "lock.json", (time.time() - age_s,) * 2)


@pytest.mark.skipif(not can_make_a_container(), reason="needs the right to make a pid namespace")
def test_a_driver_in_a_container_of_the_same_host_name_keeps_its_lock(tmp_path) -> None:
    inside = subprocess.Popen(
        in_a_container(tmp_path), env=environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert first_line(inside) == "held\n"
        description = holder(tmp_path)
        assert description["host"] == os.uname().nodename
        assert is_held(tmp_path)
        with pytest.raises(LrrayError, match="another driver works here"), FolderLock(tmp_path):
            pass
        # Where the two share no locks (the file is another one on each mount), it beats.
        (tmp_path / "driver.lock").unlink()
        with pytest.raises(LrrayError, match="another driver works here"), FolderLock(tmp_path):
            pass
        assert holder(tmp_path) == description
    finally:
        kill(inside)
    assert is_held(tmp_path)  # as far as can be seen from here without the system's lock
    age(tmp_path, 2 * STALE_S)
    with FolderLock(tmp_path):
        assert holder(tmp_path)["pid"] == os.getpid()


@pytest.mark.skipif(not can_make_a_container(), reason="needs the right to make a pid namespace")
def test_the_lock_of_a_container_that_was_killed_is_free_at_once(tmp_path) -> None:
    inside = subprocess.Popen(
        in_a_container(tmp_path), env=environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert first_line(inside) == "held\n"
    kill(inside)
    with FolderLock(tmp_path):
        assert holder(tmp_path)["pid"] == os.getpid()


def test_without_locks_of_the_system_the_heartbeat_decides(tmp_path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    other = {"host": "another", "pid": 7, "started": "1", "boot": "b", "pids": "p", "file": None}
    (tmp_path / "lock.json").write_text(json.dumps(other))
    with pytest.raises(LrrayError, match="host another, pid 7"), FolderLock(tmp_path):
        pass
    age(tmp_path, 2 * STALE_S)
    with FolderLock(tmp_path):
        assert holder(tmp_path)["pid"] == os.getpid()
        with pytest.raises(LrrayError, match=f"pid {os.getpid()}"), FolderLock(tmp_path):
            pass


def test_of_many_drivers_that_find_a_dead_ones_lock_one_gets_it(tmp_path, start, hold) -> None:
    first = hold()
    first.kill()
    first.wait()
    rivals = [start() for _ in range(6)]
    assert sorted(map(first_line, rivals)) == [""] * 5 + ["held\n"]
