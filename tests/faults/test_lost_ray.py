"""Ray's own processes die under a driver: it says so in a line instead of waiting for ever."""

import signal
import time
from collections import Counter

import pytest

from tests.faults import driver
from tests.faults.driver import (
    below,
    cells,
    finish,
    happens,
    kill,
    only_run,
    start,
    wait_for,
    write_study,
)

pytestmark = pytest.mark.slow

MINUTE_S = 60


def counting(folder, **more):
    """A study of 12 cells that take a while, and the log of those that ran."""
    log = folder / "log"
    log.touch()
    settings = {"log": str(log), "seconds": 1.0}
    return write_study(
        folder, "counted", {"settings.i": {"start": 0, "stop": 12}}, settings, **more
    )


def some_cells(out):
    return lambda: len(list(out.glob("faulty/*/cells/*.json"))) >= 3


def test_a_lost_raylet_ends_in_a_line_with_the_command_that_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "address", "local")
    study, out = counting(tmp_path), tmp_path / "out"
    process = start(study, out)
    try:
        wait_for(some_cells(out), process)
        struck = time.monotonic()
        below(process.pid, "raylet")[0].send_signal(signal.SIGKILL)
        output, _ = process.communicate(timeout=MINUTE_S)
    finally:
        kill(process)
    assert time.monotonic() - struck < MINUTE_S
    assert process.returncode == 1
    last = output.strip().splitlines()[-1]
    assert last.startswith("Ray: its raylet has ended (SIGKILL); see ")
    assert last.endswith(f"continue with: lrray study {study} --out {out} --resume)")
    assert "Traceback" not in output
    kept = {record.id: record.finished_at for record in cells(only_run(out))}
    code, output = finish(study, out, "--resume")
    assert code == 0, output
    now = {record.id: record.finished_at for record in cells(only_run(out))}
    assert kept.items() <= now.items()
    assert len(now) == 12
    ran = Counter((tmp_path / "log").read_text().split())
    assert ran.total() <= 12 + 2  # what ran when it struck


def test_a_frozen_control_service_of_a_joined_cluster_is_told_by_its_address(
    tmp_path, own_cluster, monkeypatch
):
    monkeypatch.setattr(driver, "address", own_cluster.address)
    study, out = counting(tmp_path), tmp_path / "out"
    (frozen,) = below(own_cluster.pid, "gcs_server")
    process = start(study, out)
    try:
        wait_for(some_cells(out), process)
        frozen.send_signal(signal.SIGSTOP)
        output, _ = process.communicate(timeout=MINUTE_S)
    finally:
        frozen.send_signal(signal.SIGCONT)
        kill(process)
    assert process.returncode == 1
    last = output.strip().splitlines()[-1]
    assert f"Ray: its control service at {own_cluster.address} does not answer" in last
    assert f"--address {own_cluster.address} --resume" in last
    assert "Traceback" not in output


def test_cells_that_wait_for_a_node_have_a_word_and_run_when_it_comes(
    tmp_path, own_cluster, monkeypatch
):
    monkeypatch.setattr(driver, "address", own_cluster.address)
    own_cluster.add_node(num_gpus=1)
    study, out = counting(tmp_path, resources={"gpu": 1, "max_failures": 0}), tmp_path / "out"
    output = tmp_path / "output"
    process = start(study, out, output=output)
    try:
        wait_for(some_cells(out), process)
        own_cluster.remove_node()
        word = "waiting: the nodes that are up have no room for a cell: 1 x 1 CPU and 1 GPU"
        assert happens(lambda: word in output.read_text(), 2 * MINUTE_S), output.read_text()
        own_cluster.add_node(num_gpus=1)
        process.wait(timeout=120)
    finally:
        kill(process)
    assert process.returncode == 0, output.read_text()
    assert {record.state for record in cells(only_run(out))} == {"done"}
    assert len(cells(only_run(out))) == 12
