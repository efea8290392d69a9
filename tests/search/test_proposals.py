"""Beside the cells: proposals, which keep the order and what is pending, and Optuna's journal."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from lrray.results.folder import RunFolder
from lrray.search.proposals import JOURNAL, PROPOSALS, Proposals, proposed_cells
from lrray.search.samplers import make_sampler
from lrray.studies.schema import Search
from tests.search.lives import NUM_TRIALS, SPACE, Driver


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "study")


def lost(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def cut_within_a_line(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(0.7 * len(content))].rstrip(b"\n"))


def cut_between_lines(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[: len(lines) // 2]))


def missing_lines(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:3] + lines[12:]))


def without_its_beginning(file: Path) -> None:
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[1:]))


def zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def not_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe" + file.read_bytes())


def other_numbers(file: Path) -> None:
    changed = re.sub(r'"difficulty": ?0\.\d', '"difficulty":0.9', file.read_text())
    assert changed != file.read_text()
    file.write_text(changed)


def other_parameters(file: Path) -> None:
    changed = file.read_text().replace('"param_value_internal":0.0', '"param_value_internal":7.')
    assert changed != file.read_text()
    file.write_text(changed)


DAMAGES = [
    lost, empty, cut_within_a_line, cut_between_lines, missing_lines, without_its_beginning,
    zeros, not_text,
]  # fmt: skip


def places(driver: Driver) -> list[dict[str, Any]]:
    return [trial.params for trial in driver.trials()]


def in_the_journal(folder: RunFolder, name: str = "mean") -> list[FrozenTrial]:
    """What optuna-dashboard shows."""
    storage = JournalStorage(JournalFileBackend(str(folder.path / JOURNAL)))
    return optuna.load_study(study_name=name, storage=storage).trials


def test_the_journal_shows_the_search_as_it_is(folder: RunFolder) -> None:
    killed = Driver(folder).run(5)
    killed.propose("running")
    assert [trial.state for trial in in_the_journal(folder)][-2:] == [
        TrialState.COMPLETE, TrialState.RUNNING,
    ]  # fmt: skip
    again = Driver(folder).run()
    shown, there = in_the_journal(folder), again.trials()
    assert [t.params for t in shown] == [t.params for t in there]
    assert [t.values for t in shown] == [t.values for t in there]
    assert [t.user_attrs for t in shown] == [t.user_attrs for t in there]


@pytest.mark.parametrize("damage", [*DAMAGES, other_numbers, other_parameters])
def test_a_damaged_journal_changes_nothing(
    tmp_path: Path, folder: RunFolder, damage: Callable[[Path], None]
) -> None:
    whole = RunFolder.create(tmp_path, "whole")
    Driver(whole).run(8)
    Driver(folder).run(8)
    damage(folder.path / JOURNAL)
    again = Driver(folder).run(2)
    damage(folder.path / JOURNAL)  # also while the search goes on
    again.run().check()
    assert len(again.measured) == NUM_TRIALS - 8
    assert places(again) == places(Driver(whole).run())


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_proposals_lose_no_measurement(
    folder: RunFolder, damage: Callable[[Path], None]
) -> None:
    Driver(folder).run(8)
    damage(Proposals(folder, "mean").path)
    again = Driver(folder).run()
    again.check()
    assert len(again.measured) == NUM_TRIALS - 8
    assert len(Proposals(folder, "mean").load()) == NUM_TRIALS


def test_proposals_cut_short_by_a_full_disk_are_mended(folder: RunFolder) -> None:
    Driver(folder).run(8)
    path = Proposals(folder, "mean").path
    path.write_bytes(path.read_bytes()[:-20])  # and the next line would follow on the same one
    Driver(folder).run(2)
    assert len(Proposals(folder, "mean").load()) == 10


def test_trials_keep_the_order_of_their_proposals(folder: RunFolder) -> None:
    """Fits of a surface depend on it in their last digits, and so do the pairs found on it."""
    first = Driver(folder)
    cells = {name: first.propose(name) for name in "abcd"}
    for name in "cab":  # d is interrupted
        first.measure(cells[name])
        first.tell(name, cells[name])
    for _ in range(2):
        again = Driver(folder)
        assert [again.cell(trial.params).id for trial in again.trials()[:3]] == [
            cells[name].id for name in "abc"
        ]
    assert again.propose("d").id == cells["d"].id
    again.measure(cells["d"])
    again.tell("d", cells["d"])
    again.run()
    assert places(Driver(folder)) == places(again)


def test_proposals_name_their_cells(folder: RunFolder) -> None:
    driver = Driver(folder, num_trials=3).run()
    Driver(folder, num_trials=2, name="other").run()
    found = proposed_cells(folder.path)
    assert list(map(len, (found["mean"], found["other"]))) == [3, 3]
    assert found["mean"] == [(driver.cell(p).id, p) for p in places(driver)]


def test_a_run_that_an_earlier_version_began_keeps_its_order_and_what_was_running(
    folder: RunFolder,
) -> None:
    """lrray 0.2.0 kept proposals in the journal alone."""
    storage = JournalStorage(JournalFileBackend(str(folder.path / JOURNAL)))
    sampler = make_sampler(Search(num_trials=NUM_TRIALS), SPACE, 0.5)
    study = optuna.create_study(storage=storage, study_name="mean", sampler=sampler)
    other = RunFolder.create(folder.path, "elsewhere")
    asked = [study.ask(fixed_distributions=SPACE) for _ in range(4)]
    driver = Driver(other)
    for trial in (asked[2], asked[0], asked[1]):
        cell = driver.cell(trial.params)
        driver.measure(cell)
        study.tell(trial, 0.1)
        path = folder.cell_path(cell.id)
        path.write_bytes(other.cell_path(cell.id).read_bytes())
    again = Driver(folder)
    assert places(again)[:3] == [trial.params for trial in asked[:3]]
    assert again.propose("running").settings == asked[3].params
    third = Driver(folder)
    assert places(third)[:3] == [trial.params for trial in asked[:3]]
    assert third.propose("running").settings == asked[3].params
    Driver(folder).run().check()


def test_a_killed_drivers_journal_lock_goes(folder: RunFolder) -> None:
    Driver(folder).run(4)
    lock = folder.path / f"{JOURNAL}.lock"
    lock.symlink_to(folder.path / JOURNAL)
    Driver(folder).run().check()
    assert not lock.is_symlink()


def test_times_in_the_journal_are_those_of_the_cells(folder: RunFolder) -> None:
    Driver(folder).run(1)
    (record,) = folder.cells()
    trial = Driver(folder).trials()[0]
    assert trial.datetime_complete == datetime.fromtimestamp(record.finished_at)
    assert trial.duration is not None
    assert trial.duration.total_seconds() == pytest.approx(record.seconds, abs=1e-5)


def test_without_a_place_for_its_journal_a_search_goes_on(folder: RunFolder) -> None:
    (folder.path / JOURNAL).mkdir()
    Driver(folder).run().check()
    shutil.rmtree(folder.path / PROPOSALS)
    assert Driver(folder).search.remaining == 0
