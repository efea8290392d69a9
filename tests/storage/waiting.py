"""Waiting for what other processes do, and for what reaches a storage."""

import time

from lrray.studies.storage import open_store

PATIENCE_S = 300


def wait_for(condition, process=None):
    """Waits for a condition, as long as the process that is to bring it about lives."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process is None or process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.1)


def happens(condition, within_s):
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def snapshots(place):
    """Checkpoints in the storage."""
    names = open_store(place).below("faulty").listing()
    return [n for n in names if "/checkpoints/" in n and n.endswith(".json")]
