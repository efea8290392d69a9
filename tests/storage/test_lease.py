"""One driver per stored run."""

import json
import os
import subprocess
import sys
import time
import uuid

import pytest

from lrray.errors import LrrayError
from lrray.results.lock import STALE_S, self_description
from lrray.storage.conditional import exclusive
from lrray.storage.lease import StoreLock
from lrray.storage.objects import open_store
from tests.storage.server import S3Server


@pytest.fixture(scope="module")
def refusing():
    """A server without conditional writes: it says so."""
    server = S3Server(refuse_conditions)
    server.start()
    server.make_bucket()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def ignoring():
    """A server that has never heard of conditions."""
    server = S3Server(ignore_conditions)
    server.start()
    server.make_bucket()
    yield server
    server.stop()


def refuse_conditions(application):
    def answer(environ, start_response):
        if CONDITIONS & environ.keys():
            start_response("501 Not Implemented", [("Content-Type", "application/xml")])
            return [b"<Error><Code>NotImplemented</Code></Error>"]
        return application(environ, start_response)

    return answer


def ignore_conditions(application):
    def answer(environ, start_response):
        kept = {name: value for name, value in environ.items() if name not in CONDITIONS}
        return application(kept, start_response)

    return answer


CONDITIONS = {"HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"}


@pytest.fixture(params=["s3", "path", "refusing", "ignoring"])
def store(request, s3, tmp_path):
    if request.param == "path":
        return open_store(str(tmp_path / "storage")).below("run")
    server = s3 if request.param == "s3" else request.getfixturevalue(request.param)
    return open_store(server.address(uuid.uuid4().hex))


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
        "from lrray.storage.objects import Store\n"
        "from lrray.storage.lease import StoreLock\n"
        "StoreLock(Store(sys.argv[1], sys.argv[2]), print).__enter__()\n"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, store.address, store.prefix], check=False)
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
@pytest.mark.parametrize("store", ["s3", "path"], indirect=True)
def test_a_silent_driver_of_another_machine_is_waited_for_and_then_replaced(store):
    held_elsewhere(store, time.time() - STALE_S - 1)
    lines = []
    with StoreLock(store, nothing, lines.append):
        assert json.loads(store.get("lock.json"))["pid"] == os.getpid()
    assert "waiting whether it still lives" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["s3", "path"], indirect=True)
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


RACE = """
import sys
from lrray.storage.lease import StoreLock
from lrray.storage.objects import Store
lock = StoreLock(Store(sys.argv[1], sys.argv[2]), print)
sys.stdin.readline()
with lock:
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("left", ["nothing", "a dead driver's lock"])
def test_of_drivers_that_come_at_the_same_moment_one_gets_the_run(store, left):
    if left != "nothing":
        started = {"started": "1", **{n: self_description()[n] for n in ("boot", "pids")}}
        dead = {"host": os.uname().nodename, "pid": 1, "token": "t", "beat": time.time()}
        store.put("lock.json", json.dumps({**dead, **started}).encode())
    drivers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, store.address, store.prefix], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    try:
        for driver in drivers:
            driver.stdin.write("go\n")
            driver.stdin.flush()
        assert sorted(driver.stdout.readline() for driver in drivers) == ["", "", "", "held\n"]
    finally:
        outputs = [driver.communicate() for driver in drivers]
    refused = [errors for _, errors in outputs if "another driver works here" in errors]
    assert len(refused) == 3
    assert set(store.listing()) == set()


@pytest.mark.parametrize(
    ("server", "reason"),
    [("refusing", "takes no condition"), ("ignoring", "it ignores conditions")],
)
def test_a_server_that_cannot_choose_between_drivers_is_named(request, s3, server, reason):
    store = open_store(request.getfixturevalue(server).address("named"))
    lines = []
    with StoreLock(store, nothing, lines.append):
        pass
    (line,) = lines
    assert f"{store} cannot choose between drivers ({reason}" in line


@pytest.mark.parametrize("store", ["s3", "path"], indirect=True)
def test_an_object_is_written_only_over_what_was_read(store):
    one, other = exclusive(store, "object"), exclusive(store, "object")
    first = one.write(b"1", None)
    assert first == one.read()
    assert other.write(b"2", None) is None
    second = other.write(b"2", first)
    assert second == one.read()
    assert one.write(b"3", first) is None
    assert store.get("object") == b"2"
