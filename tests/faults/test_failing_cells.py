"""A cell that goes wrong is named and does not harm the others."""

import pytest

from tests.faults.driver import cells, finish, only_run, write_study

pytestmark = pytest.mark.slow

FIVE = {"settings.i": {"start": 0, "stop": 5}}


def states(run):
    return {record.settings["settings"]["i"]: record.state for record in cells(run)}


def reason(run):
    (failed,) = [record for record in cells(run) if record.state == "failed"]
    return failed.reason


OTHERS_DONE = {0: "done", 1: "done", 2: "failed", 3: "done", 4: "done"}


def test_a_cell_that_raises_is_recorded_with_its_traceback_and_the_others_go_on(tmp_path):
    study = write_study(tmp_path, "raises", FIVE)
    code, output = finish(study, tmp_path / "out")
    run = only_run(tmp_path / "out")
    assert code == 1
    assert states(run) == OTHERS_DONE
    assert "failed settings.i=2: RuntimeError: two is not allowed" in output
    assert "4 of 5 cells done" in output
    (traceback,) = (run / "failures").iterdir()
    assert 'raise RuntimeError("two is not allowed")' in traceback.read_text()


def test_a_failed_cell_runs_again_only_when_asked(tmp_path):
    study = write_study(tmp_path, "raises", FIVE)
    finish(study, tmp_path / "out")
    run = only_run(tmp_path / "out")
    before = {record.id: record.finished_at for record in cells(run)}
    assert finish(study, tmp_path / "out", "--resume")[0] == 1
    assert {record.id: record.finished_at for record in cells(run)} == before
    assert finish(study, tmp_path / "out", "--resume", "--retry-failed")[0] == 1
    again = {record.id: record.finished_at for record in cells(run)}
    assert sum(again[i] != before[i] for i in before) == 1


def test_a_cell_that_raises_once_is_tried_again(tmp_path):
    study = write_study(tmp_path, "flaky", FIVE, {"log": str(tmp_path / "flaky")})
    code, _ = finish(study, tmp_path / "out")
    assert code == 0
    assert set(states(only_run(tmp_path / "out")).values()) == {"done"}


def test_what_a_cell_does_to_its_worker_reaches_neither_its_next_try_nor_its_neighbours(tmp_path):
    study = write_study(tmp_path, "spoils_its_worker", {"settings.i": {"start": 0, "stop": 12}})
    code, output = finish(study, tmp_path / "out")
    assert code == 1
    reasons = {r.settings["settings"]["i"]: r.reason for r in cells(only_run(tmp_path / "out"))}
    left = {2: "KeyboardInterrupt", 3: "SystemExit: 3"}
    assert reasons == {i: left.get(i, "") for i in range(12)}, output


def test_nan_is_a_failure_with_a_clear_message(tmp_path):
    code, _ = finish(write_study(tmp_path, "diverges", FIVE), tmp_path / "out")
    run = only_run(tmp_path / "out")
    assert code == 1
    assert states(run) == OTHERS_DONE
    assert reason(run) == "ValueError: the result's loss is nan: the computation diverged"


def test_a_cell_that_hangs_is_ended_at_its_time_limit(tmp_path):
    study = write_study(tmp_path, "hangs", FIVE, resources={"time_limit_s": 1.5})
    code, _ = finish(study, tmp_path / "out")
    run = only_run(tmp_path / "out")
    assert code == 1
    assert states(run) == OTHERS_DONE
    assert "time limit of 1.5 s" in reason(run)


def test_a_cell_that_eats_memory_is_ended_at_its_limit(tmp_path):
    study = write_study(tmp_path, "eats_memory", FIVE, resources={"memory_gb": 1.5})
    code, _ = finish(study, tmp_path / "out")
    run = only_run(tmp_path / "out")
    assert code == 1
    assert states(run) == OTHERS_DONE
    assert "memory limit of 1.5 GB" in reason(run)


def test_workers_of_a_cell_that_eat_memory_are_ended_at_their_limit(tmp_path):
    log = tmp_path / "begun"
    log.touch()
    resources = {"memory_gb": 1.5, "workers": 2, "cpu": 0.5, "max_failures": 0}
    one = {"settings.i": [1]}
    study = write_study(tmp_path, "eats_memory_once", one, {"log": str(log)}, resources=resources)
    code, output = finish(study, tmp_path / "out")
    assert code == 0, output
    assert log.read_text() == "begun\n" * 4  # two workers, twice


def test_a_killed_worker_costs_no_cell(tmp_path):
    study = write_study(tmp_path, "kills_itself", FIVE, {"log": str(tmp_path / "killed")})
    code, _ = finish(study, tmp_path / "out")
    assert code == 0
    assert set(states(only_run(tmp_path / "out")).values()) == {"done"}


def test_a_cell_that_always_kills_its_worker_fails_alone(tmp_path):
    code, _ = finish(write_study(tmp_path, "always_kills_itself", FIVE), tmp_path / "out")
    run = only_run(tmp_path / "out")
    assert code == 1
    assert states(run) == OTHERS_DONE
    assert reason(run).startswith("its worker died")
