"""One server for all tests of storages."""

import os

import pytest

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
