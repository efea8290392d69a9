"""Ctrl-C, SIGTERM and kill -9 at any moment: nothing finished is lost or done again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.studies.small_study import command, environment, run, write

pytestmark = pytest.mark.slow

NUM_TRIALS = 16
PATIENCE_S = 400


class Driver:
    """A real study command in a process group of its own, as a shell would start it."""

    def __init__(self, place: Path, *words: str) -> None:
        self.place = place
        self.process = subprocess.Popen(
            command("small.yaml", *words), cwd=place, env=environment(), start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.family: list[psutil.Process] = []

    def wait_for(self, num_cells: int) -> Driver:
        """Returns when that many cells are finished."""
        deadline = time.monotonic() + PATIENCE_S
        while len(cells(self.place)) < num_cells or not list(self.place.glob("results/*/*/*.yaml")):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.family = psutil.Process(self.process.pid).children(recursive=True)
        return self

    def stopped_by(self, send: Callable[[Driver], None]) -> str:
        """Sends a signal and returns what the driver said, checking that it stopped cleanly."""
        send(self)
        stdout, stderr = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 130, stdout + stderr
        assert stderr == ""
        return stdout

    def kill(self) -> None:
        """kill -9 of the driver alone; its workers find out by themselves."""
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)

    def clean_up(self) -> None:
        """Ends what this driver started and left."""
        for process in [*self.family, *_children(self.process.pid)]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.kill()
        self.process.communicate()


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def cells(place: Path) -> dict[str, tuple[int, int]]:
    """Finished cells: name -> inode and time of its file."""
    found = {}
    for path in place.glob("results/small/*/cells/*.json"):
        stat = path.stat()
        found[path.name] = (stat.st_ino, stat.st_mtime_ns)
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write(tmp_path, seeds=16, sequences_per_seed=8, seq_len=1024, search={"num_trials": NUM_TRIALS})
    return tmp_path


@pytest.fixture
def start(place: Path) -> Iterator[Callable[..., Driver]]:
    started = []

    def start_one(*words: str) -> Driver:
        started.append(Driver(place, *words))
        return started[-1]

    yield start_one
    for driver in started:
        driver.clean_up()


def finish(place: Path, before: dict[str, tuple[int, int]]) -> None:
    """Resumes to the end; checks that the study is whole and no finished cell was run again."""
    done = run(place, "small.yaml", "--resume")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert done.stderr == ""
    assert "Traceback" not in done.stdout
    # One that was killed before its first cell had ended is not gone on with.
    (folder,) = (f for f in (place / "results" / "small").iterdir() if any(f.glob("cells/*.json")))
    journal = JournalStorage(JournalFileBackend(str(folder / "optuna.journal")))
    study = optuna.load_study(study_name="mean", storage=journal)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE"] * NUM_TRIALS
    assert len({tuple(trial.params.values()) for trial in study.trials}) == NUM_TRIALS
    assert len((folder / "trials.csv").read_text().splitlines()) == NUM_TRIALS + 1
    assert before.items() <= cells(place).items()
    assert not (folder / "lock.json").exists()
    assert not (folder / "quarantine").exists()


def ctrl_c(driver: Driver) -> None:
    """As a terminal sends it: to everything in the foreground."""
    os.killpg(driver.process.pid, signal.SIGINT)


def ctrl_c_again_and_again(driver: Driver) -> None:
    for _ in range(5):
        ctrl_c(driver)
        time.sleep(0.1)


def sigterm(driver: Driver) -> None:
    driver.process.terminate()


@pytest.mark.parametrize("send", [ctrl_c, ctrl_c_again_and_again, sigterm])
def test_stopping_says_how_to_go_on_and_going_on_finishes(place, start, send) -> None:
    said = start().wait_for(3).stopped_by(send)
    (folder,) = Path(place, "results", "small").iterdir()
    assert said.endswith(
        f"Stopped. Finished work is in results/small/{folder.name}\n"
        "Continue with: lrray study small.yaml --resume\n"
    )
    assert not (folder / "lock.json").exists()
    finish(place, cells(place))


def test_stopping_before_the_first_cell(place, start) -> None:
    start().wait_for(0).stopped_by(ctrl_c)
    finish(place, {})


def test_killed_at_several_moments(place, start) -> None:
    """Also while workers of the killed driver before still run."""
    finished: dict[str, tuple[int, int]] = {}
    for num_cells in (0, 3, 9, NUM_TRIALS + 1):  # the last one while pairs are measured
        start("--resume").wait_for(num_cells).kill()
        now = cells(place)
        assert finished.items() <= now.items()
        finished = now
    finish(place, finished)


def test_a_second_driver_is_refused_while_the_first_one_works(place, start) -> None:
    first = start().wait_for(1)
    first.process.send_signal(signal.SIGSTOP)  # it must not end before the second one has looked
    second = run(place, "small.yaml", "--resume")
    first.process.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert f"another driver works here: host {os.uname().nodename}, pid {first.process.pid}" in (
        second.stderr
    )
    assert "Traceback" not in second.stderr
    first.stopped_by(ctrl_c)


def test_a_damaged_cell_is_measured_again_and_the_others_are_not(place, start) -> None:
    start().wait_for(6).stopped_by(ctrl_c)
    (folder,) = Path(place, "results", "small").iterdir()
    damaged, *others = sorted(path.name for path in (folder / "cells").glob("*.json"))
    (folder / "cells" / damaged).write_text('{"id": ')
    before = {name: state for name, state in cells(place).items() if name in others}
    assert run(place, "small.yaml", "--resume").returncode in (0, 1)
    assert before.items() <= cells(place).items()
    assert damaged in cells(place)
    assert len(list((folder / "quarantine").iterdir())) == 1
