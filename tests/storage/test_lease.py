"""One driver per stored run."""

import json
import os
import subprocess
import sys
import time
import uuid

import pytest

from lrray.errors import LrrayError
from lrray.results.lock import STALE_S
from lrray.storage.lease import StoreLock
from lrray.storage.objects import open_store


@pytest.fixture
def store(s3):
    return open_store(s3.address(uuid.uuid4().hex))


def nothing():
    pass


def test_a_second_driver_is_refused_and_the_lock_goes_with_the_first(store):
    with StoreLock(store, nothing):
        message = f"another driver works here: host {os.uname().nodename}, pid {os.getpid()}"
        with pytest.raises(LrrayError, match=message), StoreLock(store, nothing):
            pass
    assert store.listing() == {}
    with StoreLock(store, nothing):
        pass


def test_the_lock_of_a_driver_that_died_here_is_taken_over_at_once(store):
    code = (
        "import os, sys\n"
        "from lrray.storage.objects import open_store\n"
        "from lrray.storage.lease import StoreLock\n"
        "StoreLock(open_store(sys.argv[1]), print).__enter__()\n"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, store.address], check=False)
    assert "lock.json" in store.listing()
    with StoreLock(store, nothing):
        pass


def held_elsewhere(store, beat):
    lock = {"host": "elsewhere", "pid": 7, "started": "1", "token": "t", "beat": beat}
    store.put("lock.json", json.dumps(lock).encode())


def test_a_fresh_lock_of_another_machine_refuses(store):
    held_elsewhere(store, time.time())
    with pytest.raises(LrrayError, match="host elsewhere, pid 7"), StoreLock(store, nothing):
        pass


@pytest.mark.slow
def test_a_silent_driver_of_another_machine_is_waited_for_and_then_replaced(store):
    held_elsewhere(store, time.time() - STALE_S - 1)
    lines = []
    with StoreLock(store, nothing, lines.append):
        assert json.loads(store.get("lock.json"))["pid"] == os.getpid()
    assert "waiting whether it still lives" in lines[0]


@pytest.mark.slow
def test_a_driver_whose_lock_was_taken_is_told(store):
    told = []
    with StoreLock(store, lambda: told.append(True)):
        held_elsewhere(store, time.time())
        deadline = time.monotonic() + 120
        while not told:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert json.loads(store.get("lock.json"))["host"] == "elsewhere"


def test_a_lock_that_cannot_be_read_holds_nobody(store):
    store.put("lock.json", b"\x00 not JSON")
    with StoreLock(store, nothing):
        pass
