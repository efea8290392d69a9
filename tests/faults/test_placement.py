"""Cells that fit nowhere, and trials that a scheduler stops."""

import time

import pytest

from tests.faults import driver
from tests.faults.driver import cells, finish, kill, only_run, start, wait_for, write_study

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"cpu": 64}, "a cell needs 1 x 64 CPU but the cluster has 2 CPU and 0 GPU"),
        ({"workers": 5}, "a cell needs 5 x 1 CPU but the cluster has 2 CPU and 0 GPU"),
        (
            {"gpu": 0.5},
            "a cell needs 1 x 1 CPU and 0.5 GPU on one node but the cluster has 2 CPU and 0 GPU",
        ),
    ],
)
def test_a_cell_that_fits_nowhere_is_refused_at_the_start(tmp_path, resources, message):
    study = write_study(tmp_path, "raises", {"settings.i": [1]}, resources=resources)
    code, output = finish(study, tmp_path / "out")
    assert code == 2
    assert message in output
    assert list(tmp_path.glob("out/*/*")) == []  # a run that never began is not kept


@pytest.mark.parametrize("by", ["setting", "ray up"])
def test_a_cell_waits_for_a_node_that_is_started_on_demand(tmp_path, own_cluster, monkeypatch, by):
    resources = {"cpu": 1, "workers": 3, "max_concurrent": 1}
    if by == "setting":
        resources["wait_for_nodes_min"] = 10
    else:
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "ray_bootstrap_config.yaml").touch()
    monkeypatch.setattr(driver, "address", own_cluster.address)
    study = write_study(tmp_path, "raises", {"settings.i": [1]}, resources=resources)
    process = start(study, tmp_path / "out")
    try:
        until_it_runs(tmp_path / "out")
        own_cluster.add_node()
        output, _ = process.communicate(timeout=300)
    finally:
        kill(process)
    assert process.returncode == 0, output
    assert [cell.state for cell in cells(only_run(tmp_path / "out"))] == ["done"]


def test_gpu_workers_of_a_cell_are_not_spread_over_nodes(tmp_path, own_cluster, monkeypatch):
    """Two nodes with a GPU each have no room for a cell of two workers with one each."""
    monkeypatch.setattr(driver, "address", own_cluster.address)
    for _ in range(2):
        own_cluster.add_node(num_gpus=1)
    resources = {"cpu": 0.5, "gpu": 1, "workers": 2}
    study = write_study(tmp_path, "raises", {"settings.i": [1]}, resources=resources)
    code, output = finish(study, tmp_path / "out")
    assert code == 2
    assert (
        "a cell needs 2 x 0.5 CPU and 1 GPU on one node but the cluster has 6 CPU and 2 GPU"
    ) in output
    assert list(tmp_path.glob("out/*/*")) == []


def until_it_runs(out):
    """Waits for a driver that has begun, and a moment in which it could refuse the cell."""
    wait_for(lambda: list(out.glob("faulty/*/provenance.json")), within_s=120)
    time.sleep(10)


XS = [5.0, 5.5, 1.0, 1.1, 1.2, 1.3]
"""Of which the first two are far worse; the grid's seed leaves them to the end."""


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_a_scheduler_stops_bad_trials_and_a_resume_leaves_them_stopped(tmp_path, scheduler):
    """Of a harder point as of an easier one: each has trials that come to their end."""
    search = {"sampler": "grid", "num_trials": 6, "metric": "loss", "scheduler": scheduler}
    study = write_study(
        tmp_path, "slow_curve", {"settings.offset": [0, 100]}, {"steps": 20},
        search_space={"settings.x": {"distribution": "choice", "values": XS}},
        search={**search, "max_step": 20},
    )  # fmt: skip
    code, output = finish(study, tmp_path / "out", timeout=500)
    assert code == 0, output
    run = only_run(tmp_path / "out")
    states = [record.state for record in cells(run)]
    assert states.count("stopped") > 0
    assert states.count("stopped") + states.count("done") == len(states) == 12
    done = [record.axes["settings.offset"] for record in cells(run) if record.state == "done"]
    assert set(done) == {0, 100}
    before = {record.id: record.finished_at for record in cells(run)}
    assert finish(study, tmp_path / "out", "--resume")[0] == 0
    assert {record.id: record.finished_at for record in cells(run)} == before
