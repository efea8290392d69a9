"""One cluster for all tests that harm only cells, files or drivers: joining it is quick."""

import pytest

from tests.faults import driver
from tests.faults.cluster import ClusterProcess


@pytest.fixture(scope="session", autouse=True)
def shared_cluster():
    with ClusterProcess() as cluster:
        driver.address = cluster.address
        yield cluster


@pytest.fixture
def own_cluster():
    """A cluster that a test may take apart."""
    with ClusterProcess() as cluster:
        yield cluster
