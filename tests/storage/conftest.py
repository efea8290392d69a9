"""One server for all tests of storages, and nodes that share nothing else."""

import os
import uuid

import pytest

from tests.faults import driver
from tests.faults.cluster import ClusterProcess
from tests.storage.server import CREDENTIALS, S3Server


@pytest.fixture(scope="session")
def s3():
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    server = S3Server()
    server.start()
    server.make_bucket()
    yield server
    server.stop()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def two_nodes(s3):
    """A cluster whose workers know the server's credentials."""
    with ClusterProcess() as cluster:
        cluster.add_node()
        yield cluster


@pytest.fixture
def place(s3, two_nodes, monkeypatch):
    """A storage of its own, for studies on the two nodes."""
    monkeypatch.setattr(driver, "address", two_nodes.address)
    return s3.address(uuid.uuid4().hex)
