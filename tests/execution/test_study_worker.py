"""A worker keeps what its cells give, whatever they do."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from lrray.errors import DiskFullError
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, FAILED
from tests.studies.bad_cells import cell
from tests.waiting import comes_true


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "study")


def in_its_own_process(
    name: str,
    folder: RunFolder,
    seed: int | list[int] = 0,
    output: Path | None = None,
    **limits: Any,
) -> int:
    """Exit status of a real worker process that runs one cell; negative: the signal it died of."""
    child = os.fork()
    if child == 0:
        signal.alarm(120)
        if output is not None:
            os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
            sys.stdout = os.fdopen(1, "w", closefd=False)
        run_durably(cell(name, seed), folder, Limits(**limits))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def attempts(folder: RunFolder, name: str) -> dict[str, Any]:
    return json.loads((folder.path / "attempts" / f"{cell(name).id}.json").read_text())


def test_a_result_is_durable_and_computed_once(folder: RunFolder) -> None:
    record = run_durably(cell("works"), folder, Limits())
    assert (record.state, record.result) == (DONE, {"loss": 0.5})
    before = folder.cell_path(record.id).stat()
    assert run_durably(cell("works"), folder, Limits()) == record
    after = folder.cell_path(record.id).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert list((folder.path / "attempts").iterdir()) == []


def test_a_damaged_result_is_computed_again(folder: RunFolder) -> None:
    record = run_durably(cell("works"), folder, Limits())
    folder.cell_path(record.id).write_text("{")
    again = run_durably(cell("works"), folder, Limits())
    assert again.result == record.result
    assert len(list((folder.path / "quarantine").iterdir())) == 1


def test_a_cell_that_raises_is_tried_again_and_then_kept_as_failed(folder: RunFolder) -> None:
    record = run_durably(cell("raises"), folder, Limits(max_failures=2))
    assert record.state == FAILED
    assert record.reason == "ValueError: no such luck"
    traceback = (folder.path / "failures" / f"{record.id}.txt").read_text()
    assert "in raises" in traceback
    assert run_durably(cell("raises"), folder, Limits()) == record  # for good


def test_a_cell_that_fails_once_counts_as_done(folder: RunFolder) -> None:
    assert run_durably(cell("works_the_second_time"), folder, Limits()).state == DONE


def test_a_result_that_is_not_finite_is_a_failure_that_says_where(folder: RunFolder) -> None:
    record = run_durably(cell("diverges"), folder, Limits(max_failures=0))
    assert record.state == FAILED
    assert record.reason == (
        "ValueError: the result's per_seed.loss[1] is nan: the computation diverged"
    )


def test_a_standard_error_may_be_undefined(folder: RunFolder) -> None:
    record = run_durably(cell("has_one_seed"), folder, Limits())
    assert record.result == {"loss": 1.0, "loss_se": None}


@pytest.mark.parametrize("name", ["returns_no_numbers_by_name", "returns_what_cannot_be_kept"])
def test_a_result_of_another_kind_is_a_failure(folder: RunFolder, name: str) -> None:
    record = run_durably(cell(name), folder, Limits(max_failures=0))
    assert record.state == FAILED
    assert record.reason.startswith("TypeError: ")


@pytest.mark.parametrize("name", ["finds_no_room", "finds_no_room_for_a_checkpoint"])
def test_a_full_disk_is_no_fault_of_the_cells(folder: RunFolder, name: str) -> None:
    limits = Limits(max_failures=0, max_deaths=0, driver="one")
    for _ in range(3):
        with pytest.raises((OSError, DiskFullError), match=r"(?i)no space left"):
            run_durably(cell(name), folder, limits)
    assert folder.load_cell(cell(name).id) is None
    (folder.path / "shared").mkdir()  # there is room
    assert run_durably(cell(name), folder, limits).state == DONE


def test_a_cell_that_hangs_is_ended_at_its_time_limit(folder: RunFolder) -> None:
    limits = {"time_limit_s": 0.2, "max_deaths": 1, "driver": "one"}
    assert in_its_own_process("hangs", folder, **limits) == 1
    assert attempts(folder, "hangs")["deaths"] == 1
    assert in_its_own_process("hangs", folder, **limits) == 1
    assert in_its_own_process("hangs", folder, **limits) == 0  # not run again
    record = folder.load_cell(cell("hangs").id)
    assert record is not None
    assert (record.state, record.reason) == (
        FAILED, "passed its time limit of 0.2 s (2 times)"
    )  # fmt: skip


def test_a_cell_that_eats_memory_is_ended_at_its_limit(folder: RunFolder) -> None:
    limits = {"memory_gb": 1.5, "max_deaths": 0}
    assert in_its_own_process("eats_memory", folder, **limits) == 1
    assert in_its_own_process("eats_memory", folder, **limits) == 0
    record = folder.load_cell(cell("eats_memory").id)
    assert record is not None
    assert record.reason == "passed its memory limit of 1.5 GB (1 times)"


def test_a_cell_that_kills_its_workers_is_kept_as_failed(folder: RunFolder) -> None:
    limits = {"max_deaths": 1, "driver": "one"}
    assert in_its_own_process("dies", folder, **limits) == -9
    assert in_its_own_process("dies", folder, **limits) == -9
    assert in_its_own_process("dies", folder, **limits) == 0
    record = folder.load_cell(cell("dies").id)
    assert record is not None
    assert (record.state, record.reason) == (FAILED, "its worker died (2 times)")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises_what_cannot_be_said", "CannotBeSaid: (its text cannot be had: ValueError)"),
        ("raises_what_cannot_be_encoded", "ValueError: half a pair: \\udc80"),
        ("calls_sys_exit", "SystemExit: 3"),
    ],
)
def test_a_failure_is_recorded_whatever_the_cell_raised(
    folder: RunFolder, name: str, reason: str
) -> None:
    record = run_durably(cell(name), folder, Limits(max_failures=0))
    assert (record.state, record.reason) == (FAILED, reason)
    assert "Traceback" in (folder.path / "failures" / f"{record.id}.txt").read_text()


def test_an_error_of_five_megabytes_is_cut(folder: RunFolder) -> None:
    record = run_durably(cell("raises_five_megabytes"), folder, Limits(max_failures=0))
    assert record.reason.startswith("ValueError: xxx")
    assert len(record.reason) < 600
    trace = (folder.path / "failures" / f"{record.id}.txt").read_text()
    assert trace.startswith("Traceback")
    assert len(trace) < 110_000


def test_a_keyboard_interrupt_of_the_cells_own_is_a_failure(folder: RunFolder) -> None:
    with ThreadPoolExecutor(1) as trial_thread:
        limits = Limits(max_failures=0)
        record = trial_thread.submit(run_durably, cell("presses_ctrl_c"), folder, limits).result()
    assert (record.state, record.reason) == (FAILED, "KeyboardInterrupt")


def test_a_cell_that_leaves_by_os_exit_says_so(folder: RunFolder) -> None:
    limits = {"max_deaths": 0, "driver": "one"}
    assert in_its_own_process("calls_os_exit", folder, **limits) == 3
    assert in_its_own_process("calls_os_exit", folder, **limits) == 0
    record = folder.load_cell(cell("calls_os_exit").id)
    assert record is not None
    assert record.reason == "it ended its worker with os._exit(3) (1 times)"


@pytest.mark.parametrize("name", ["calls_os_exit", "is_killed"])
def test_the_last_lines_of_a_cell_that_took_its_worker_down_are_kept(
    folder: RunFolder, tmp_path: Path, name: str
) -> None:
    output = tmp_path / "worker.out"
    output.write_text("of the cell before\n")
    for _ in range(2):
        in_its_own_process(name, folder, output=output, max_deaths=0, driver="one")
    record = folder.load_cell(cell(name).id)
    assert record is not None
    assert record.state == FAILED
    trace = (folder.path / "failures" / f"{record.id}.txt").read_text()
    assert trace.splitlines()[-2:] == ["line 98", "line 99"]
    assert len(trace.splitlines()) <= 21
    assert "of the cell before" not in trace


def test_memory_of_a_cells_children_counts_and_they_end_with_it(folder: RunFolder) -> None:
    limits = {"memory_gb": 1.5, "max_deaths": 0}
    assert in_its_own_process("eats_memory_in_a_child", folder, **limits) == 1
    child = int((folder.path / "shared" / "child").read_text())
    assert comes_true(lambda: not psutil.pid_exists(child) or is_zombie(child))
    assert in_its_own_process("eats_memory_in_a_child", folder, **limits) == 0
    record = folder.load_cell(cell("eats_memory_in_a_child").id)
    assert record is not None
    assert record.reason == "passed its memory limit of 1.5 GB (1 times)"


def is_zombie(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_cell_that_gets_on_between_deaths_is_not_given_up(folder: RunFolder) -> None:
    limits = {"max_deaths": 1, "driver": "one"}
    for _ in range(5):
        assert in_its_own_process("dies_further_on_every_time", folder, **limits) == -9
    assert in_its_own_process("dies_further_on_every_time", folder, **limits) == 0
    record = folder.load_cell(cell("dies_further_on_every_time").id)
    assert record is not None
    assert record.state == DONE


@pytest.mark.parametrize("drivers", [("one", "one"), ("one", "two")])
def test_the_seconds_of_a_cell_are_those_of_all_its_attempts(
    folder: RunFolder, drivers: tuple[str, str]
) -> None:
    begun = time.time()
    statuses = [in_its_own_process("fails_late", folder, driver=driver) for driver in drivers]
    assert statuses == [-9, 0]
    record = folder.load_cell(cell("fails_late").id)
    assert record is not None
    assert record.result == {"tries": 3}
    assert 3 * 0.2 <= record.seconds <= time.time() - begun


def test_seeds_that_ended_before_a_kill_are_not_run_again(folder: RunFolder) -> None:
    seeds = [3, 5, 7, 9]
    assert in_its_own_process("dies_at_its_third_seed", folder, seeds) == -9
    assert in_its_own_process("dies_at_its_third_seed", folder, seeds) == 0
    assert (folder.path / "shared" / "seeds").read_text() == "3 5 7 7 9"
    record = folder.load_cell(cell("dies_at_its_third_seed", seeds).id)
    assert record is not None
    assert record.result["per_seed"]["loss"] == [3 / 7, 5 / 7, 1.0, 9 / 7]


def test_no_cell_is_to_blame_when_its_worker_ends_with_the_driver(folder: RunFolder) -> None:
    for driver in ("one", "two", "three"):
        assert in_its_own_process("dies", folder, max_deaths=0, driver=driver) == -9
    assert attempts(folder, "dies")["deaths"] == 0


def test_a_damaged_note_of_attempts_starts_the_count_anew(folder: RunFolder) -> None:
    (folder.path / "attempts").mkdir()
    (folder.path / "attempts" / f"{cell('works').id}.json").write_text('{"deaths": ')
    assert run_durably(cell("works"), folder, Limits()).state == DONE
