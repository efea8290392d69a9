"""A running study's gauges, read back from the node's Prometheus endpoint."""

import re
import time
from urllib.request import urlopen

import pytest

from tests.faults.driver import cells, finish, kill, only_run, start, write_study

pytestmark = pytest.mark.slow

PATIENCE_S = 180


def gauges(url, name):
    """Labels and value of every sample of a gauge of ours."""
    with urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    samples = []
    for line in lines:
        if line.startswith(f"ray_{name}{{"):
            labels, _, value = line.removeprefix(f"ray_{name}").rpartition(" ")
            samples.append((dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)))
    return samples


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, condition()
        time.sleep(0.5)


def test_counts_and_curve_points_stand_on_the_prometheus_endpoint(tmp_path, shared_cluster):
    url, release = shared_cluster.metrics_url(), tmp_path / "release"
    study = write_study(
        tmp_path, "logs_and_waits", {"settings.i": [1, 2]}, settings={"release": str(release)}
    )
    process = start(study, tmp_path / "out")
    try:
        until(lambda: list((tmp_path / "out").glob("faulty/*/status.json")))
        name = f"faulty/{only_run(tmp_path / 'out').name}"

        def losses():
            found = gauges(url, "lrray_cell_metric")
            return {v for tags, v in found if tags["study"] == name and tags["name"] == "loss"}

        def running():
            found = gauges(url, "lrray_cells")
            return [v for tags, v in found if tags["study"] == name and tags["state"] == "running"]

        until(lambda: losses() == {1.25, 2.25})
        until(lambda: running() == [2.0])
        release.touch()
        assert process.wait(timeout=PATIENCE_S) == 0
    finally:
        release.touch()
        kill(process)
    assert len(cells(only_run(tmp_path / "out"))) == 2
    assert finish(study, tmp_path / "out", "--resume")[0] == 0
