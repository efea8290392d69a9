"""Studies whose driver and workers share nothing but a server that speaks S3."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest

from lrray.results.folder import RunFolder
from lrray.results.run import Run
from lrray.storage.objects import open_store
from tests.faults import driver
from tests.faults.cluster import ClusterProcess
from tests.faults.driver import (
    PATIENCE_S,
    ROOT,
    begun,
    cells,
    finish,
    kill,
    only_run,
    start,
    table,
    wait_for,
)
from tests.storage.contents import snapshots
from tests.storage.server import S3Server

pytestmark = pytest.mark.slow


@pytest.fixture
def log(tmp_path):
    """File to which cells write; while ``log.hold`` is there, they do not end."""
    path = tmp_path / "log"
    path.touch()
    path.with_suffix(".hold").touch()
    return path


def write(folder, function, num_cells, settings):
    grid = {"settings.i": {"start": 0, "stop": num_cells}}
    return driver.write_study(folder, function, grid, settings)


def release(log):
    """Lets held cells go on."""
    log.with_suffix(".hold").unlink()


def test_results_over_two_nodes_equal_those_of_a_local_run(tmp_path, place, log, monkeypatch):
    study = write(tmp_path, "counted", 16, {"log": str(log), "seconds": 0.3})
    code, output = finish(study, tmp_path / "stored", "--storage", place)
    assert code == 0, output
    assert Counter(log.read_text().split()) == {str(i): 1 for i in range(16)}
    code, output = finish(study, tmp_path / "local")
    assert code == 0, output
    stored, local = only_run(tmp_path / "stored"), only_run(tmp_path / "local")
    assert table(stored).equals(table(local))
    there = set(open_store(place).below(f"faulty/{stored.name}").listing())
    here = {str(p.relative_to(stored)) for p in stored.rglob("*") if p.is_file()}
    assert here == there
    assert {"study.yaml", "summary.json", "cells.csv", "report.html"} < there


def test_a_server_that_goes_away_in_mid_study_costs_nothing_but_time(tmp_path, place, log, s3):
    study = write(tmp_path, "counted", 24, {"log": str(log), "seconds": 1.0})
    allowed = log.with_suffix(".allowed")
    allowed.write_text("12")
    process = start(study, tmp_path / "out", "--storage", place)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))
    reader.start()
    try:
        wait_for(lambda: len(log.read_text().splitlines()) >= 4)
        s3.stop()
        try:
            wait_for(lambda: any("does not answer" in line for line in lines))
        finally:
            s3.start()
        allowed.unlink()
        process.wait(PATIENCE_S)
    finally:
        kill(process)
        reader.join()
    assert process.returncode == 0, "".join(lines)
    assert any("answers again" in line for line in lines)
    assert "Traceback" not in "".join(lines)
    assert Counter(log.read_text().split()) == {str(i): 1 for i in range(24)}
    assert len(cells(only_run(tmp_path / "out"))) == 24


def test_a_killed_study_goes_on_from_another_machine_with_the_storage_alone(tmp_path, place, log):
    study = write(tmp_path, "checkpointed", 3, {"log": str(log)})
    process = start(study, tmp_path / "first", "--storage", place)
    try:
        wait_for(lambda: len(snapshots(place)) == 3, process)
        code, output = finish(study, tmp_path / "other", "--resume", "--storage", place)
        assert code == 2
        assert f"another driver works here: host {os.uname().nodename}, pid {process.pid}" in output
    finally:
        kill(process)
    release(log)
    code, output = finish(study, tmp_path / "second", "--resume", "--storage", place)
    assert code == 0, output
    tries = begun(log)
    assert Counter(i for i, _, _ in tries) == {0: 2, 1: 2, 2: 2}
    assert all(step > 0 for _, step, _ in tries[3:])
    run = RunFolder(only_run(tmp_path / "second"))
    assert run.path.name == only_run(tmp_path / "first").name
    for record in run.cells():
        assert record.result == {"steps": 30.0}
        assert [point["step"] for point in Run(run.path).metrics(record.id)] == list(range(1, 31))


def test_cells_of_a_node_that_vanishes_go_on_elsewhere_from_their_checkpoints(
    tmp_path, place, log, monkeypatch
):
    study = write(tmp_path, "checkpointed", 4, {"log": str(log)})
    with ClusterProcess() as cluster:
        cluster.add_node()
        monkeypatch.setattr(driver, "address", cluster.address)
        process = start(study, tmp_path / "out", "--storage", place)
        try:
            wait_for(lambda: len(snapshots(place)) == 4, process)
            cluster.remove_node()
            release(log)
            output, _ = process.communicate(timeout=PATIENCE_S)
        finally:
            kill(process)
    assert process.returncode == 0, output
    tries = begun(log)
    assert len(tries) > 4, "no cell was on the node"
    assert all(step > 0 for _, step, _ in tries[4:])
    run = RunFolder(only_run(tmp_path / "out"))
    for record in run.cells():
        assert [point["step"] for point in Run(run.path).metrics(record.id)] == list(range(1, 31))


def test_a_worker_that_gets_sigterm_loses_no_more_than_since_its_checkpoint(tmp_path, place, log):
    study = write(tmp_path, "checkpointed", 1, {"log": str(log)})
    process = start(study, tmp_path / "out", "--storage", place)
    try:
        wait_for(lambda: len(snapshots(place)) == 1, process)
        ((_, _, worker),) = begun(log)
        os.kill(worker, signal.SIGTERM)
        release(log)
        output, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        kill(process)
    assert process.returncode == 0, output
    (_, first, _), (_, second, _) = begun(log)
    assert first == 0
    assert second > 0


def test_failures_and_their_tracebacks_come_home_and_run_again_when_asked(tmp_path, place):
    study = driver.write_study(tmp_path, "raises", {"settings.i": [1, 2, 3]})
    for results, options in (("one", []), ("other", ["--resume"])):
        code, output = finish(study, tmp_path / results, "--storage", place, *options)
        assert code == 1, output
        run = only_run(tmp_path / results)
        assert sorted(record.state for record in cells(run)) == ["done", "done", "failed"]
        (traceback,) = (run / "failures").iterdir()
        assert "two is not allowed" in traceback.read_text()
    before = {record.id: record.finished_at for record in cells(run)}
    finish(study, tmp_path / "one", "--storage", place, "--resume", "--retry-failed")
    after = {r.id: r.finished_at for r in cells(only_run(tmp_path / "one"))}
    assert sum(after[i] != before[i] for i in before) == 1


def one_line(tmp_path, *options, **environment):
    """What the command says that is refused before it has made anything."""
    study = driver.write_study(tmp_path, "raises", {"settings.i": [1]})
    out = tmp_path / "out"
    command = [sys.executable, "-m", "lrray.study", str(study), "--out", str(out), *options]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    assert done.returncode == 2
    assert not out.exists()
    (line,) = (done.stdout + done.stderr).splitlines()
    return line


def test_a_missing_bucket_is_refused_in_one_line(tmp_path, s3):
    line = one_line(tmp_path, "--storage", s3.address("x", bucket="nowhere"))
    assert line == "s3://nowhere/x: has no such bucket (fix: make the bucket, or check its name)"


def test_a_server_that_nobody_runs_is_refused_in_one_line(tmp_path):
    nobody = S3Server()
    line = one_line(tmp_path, "--storage", nobody.address("x"))
    assert line.startswith("s3://studies/x: does not answer (fix: check the network")


def test_credentials_unknown_or_without_rights_are_refused_in_one_line(tmp_path, strict_server):
    address = strict_server.address("x")
    line = one_line(tmp_path, "--storage", address)
    assert "s3://studies/x: does not know the credentials" in line
    line = one_line(tmp_path, "--storage", address, **strict_server.keys_without_rights)
    assert "s3://studies/x: may not be written (fix: give credentials" in line


@pytest.fixture
def strict_server(s3):
    """A server that asks for credentials once its bucket and a user are made."""
    server = S3Server()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(server.port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "3"},
    )  # fmt: skip
    try:
        wait_for(server.answers)
        server.make_bucket()
        server.make_user()
        yield server
    finally:
        kill(process)
