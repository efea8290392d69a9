"""Each wrap around a cell does its one thing, whatever is inside."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from lrray.errors import LrrayError, StorageError
from lrray.execution.attempts import Attempts, Limits, Outcome, WorkerLost, forget, retried
from lrray.execution.keeping import durable, usable
from lrray.execution.watchdog import limited
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, FAILED
from lrray.studies.cell import Cell
from lrray.tracking.follower import tracked
from lrray.training.stopping import Stopped

CELL = Cell("function", {"rate": 0.1}, {"rate": 0.1}, "c0de")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "study")


class Inside:
    """What a wrap calls: raises or returns one thing after the other."""

    def __init__(self, *ends: Any) -> None:
        self.ends, self.calls = list(ends), 0

    def __call__(self, cell: Cell) -> Any:
        assert cell == CELL
        self.calls += 1
        end = self.ends.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end


def test_what_is_durable_is_kept_and_not_run_again(folder: RunFolder) -> None:
    inside = Inside(Outcome(2.5, {"loss": 0.5}))
    run = durable(inside, folder)
    record = run(CELL)
    assert (record.state, record.result, record.seconds) == (DONE, {"loss": 0.5}, 2.5)
    assert run(CELL) == record
    assert inside.calls == 1


def test_a_cell_that_failed_for_good_is_durable_as_well(folder: RunFolder) -> None:
    inside = Inside(Outcome(2.5, reason="ValueError: no", traceback="Traceback …"))
    record = durable(inside, folder)(CELL)
    assert (record.state, record.reason, record.seconds) == (FAILED, "ValueError: no", 2.5)
    assert (folder.path / "failures" / f"{CELL.id}.txt").read_text() == "Traceback …"


def test_notes_of_attempts_last_until_the_outcome_does(folder: RunFolder) -> None:
    def run(cell: Cell) -> Outcome:
        outcome = retried(Inside({"loss": 0.5}), folder, Limits())(cell)
        assert folder.is_running(cell.id)  # a worker that dies now has not ended it
        return outcome

    durable(run, folder)(CELL)
    assert not folder.is_running(CELL.id)


@pytest.mark.parametrize(("max_failures", "tries"), [(0, 1), (2, 3)])
def test_a_cell_that_raises_is_tried_as_often_as_is_allowed(
    folder: RunFolder, max_failures: int, tries: int
) -> None:
    inside = Inside(*[ValueError("no\nand more")] * 5)
    outcome = retried(inside, folder, Limits(max_failures=max_failures))(CELL)
    assert inside.calls == tries
    assert (outcome.result, outcome.reason) == (None, "ValueError: no")
    assert "ValueError: no\nand more" in outcome.traceback


def test_a_mistake_of_the_users_is_not_tried_again(folder: RunFolder) -> None:
    inside = Inside(LrrayError("here", "must hold"))
    outcome = retried(inside, folder, Limits(max_failures=5))(CELL)
    assert (inside.calls, outcome.reason) == (1, "LrrayError: here: must hold")


def test_a_lost_worker_is_a_death_and_an_outage_is_nobodys_fault(folder: RunFolder) -> None:
    limits = Limits(max_failures=0, max_deaths=1, driver="one")
    assert retried(Inside(WorkerLost(), {"loss": 1.0}), folder, limits)(CELL).result == {"loss": 1}
    assert Attempts.noted(folder, CELL.id, "one").deaths == 1
    forget(folder, CELL.id)
    with pytest.raises(StorageError):
        retried(Inside(StorageError("s3://x", "does not answer")), folder, limits)(CELL)
    assert Attempts.noted(folder, CELL.id, "one").failures == 0


@pytest.mark.parametrize("stop", [Stopped(), KeyboardInterrupt()])
def test_a_stop_goes_through_and_counts_for_nothing(folder: RunFolder, stop: BaseException) -> None:
    with pytest.raises(type(stop)):
        retried(Inside(stop), folder, Limits(max_failures=0))(CELL)
    noted = Attempts.noted(folder, CELL.id, "one")
    assert (noted.failures, noted.deaths, noted.running) == (0, 0, False)


def test_a_cell_within_its_limits_is_left_alone(folder: RunFolder) -> None:
    def run(cell: Cell) -> str:
        time.sleep(1.2)  # the watchdog looks at least twice
        return cell.id

    assert limited(run, folder, Limits(time_limit_s=60, memory_gb=1000))(CELL) == CELL.id


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_result_that_is_not_finite_is_of_no_use(value: float) -> None:
    with pytest.raises(ValueError, match=r"the result's loss\[1\] is (nan|inf): the computation"):
        usable(Inside({"loss": [0.5, value]}))(CELL)
    assert usable(Inside({"loss": 0.5, "loss_se": value}))(CELL) == {"loss": 0.5, "loss_se": None}


def test_a_result_that_no_file_can_hold_is_of_no_use() -> None:
    with pytest.raises(TypeError):
        usable(Inside({"loss": object()}))(CELL)


def test_a_followed_cell_is_told_while_it_runs_and_at_its_end(folder: RunFolder) -> None:
    folder.write_json("tracking.json", {"tensorboard": True, "study": "study"})

    def run(cell: Cell) -> str:
        folder.append_metrics(cell.id, {"step": 1, "loss": 0.5})
        return cell.id

    assert tracked(run, folder)(CELL) == CELL.id
    assert list((folder.path / "tensorboard" / CELL.id).iterdir()) != []
