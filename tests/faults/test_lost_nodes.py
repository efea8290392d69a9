"""Nodes that vanish while a study runs."""

import pytest

from tests.faults import driver
from tests.faults.driver import cells, kill, only_run, start, wait_for, write_study

pytestmark = pytest.mark.slow


def test_a_node_that_vanishes_costs_no_cell(tmp_path, own_cluster, monkeypatch):
    monkeypatch.setattr(driver, "address", own_cluster.address)
    own_cluster.add_node()
    settings = {"log": str(tmp_path / "log"), "seconds": 1.0}
    grid = {"settings.i": {"start": 0, "stop": 24}}
    study, out = write_study(tmp_path, "counted", grid, settings), tmp_path / "out"
    process = start(study, out)
    try:
        wait_for(lambda: len(list(out.glob("faulty/*/cells/*.json"))) >= 4, within_s=120)
        own_cluster.remove_node()
        output, _ = process.communicate(timeout=240)
    finally:
        kill(process)
    assert process.returncode == 0, output
    assert len(cells(only_run(out))) == 24
    assert {record.state for record in cells(only_run(out))} == {"done"}
