"""A search continues exactly where its cells' files say it is, whatever became of its journal."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from lrray.results.folder import RunFolder
from lrray.results.record import CellRecord
from lrray.search.journal import JOURNAL, OBJECTIVE, open_arm, open_journal
from lrray.search.queue import SearchArm
from lrray.search.samplers import make_sampler
from lrray.studies.cell import Cell
from lrray.studies.schema import Search

SPACE = {name: FloatDistribution(1e-3, 1.0, log=True) for name in ("alpha_X", "alpha_Z")}
NUM_TRIALS = 12
SAMPLERS = ["level_set", "tpe", "gp", "random", "grid"]


def difficulty(parameters: Mapping[str, float]) -> float:
    """Rises with both alphas; 0.5 where their product is 0.001."""
    product = parameters["alpha_X"] * parameters["alpha_Z"]
    return 1 / (1 + math.exp(-1.2 * (math.log10(product) + 3)))


@dataclass
class Driver:
    """One life of a driver: it opens the search, and may end at any moment."""

    folder: RunFolder
    sampler: str = "level_set"
    target: float = 0.5
    num_trials: int = NUM_TRIALS
    code: str = "c0de"

    def __post_init__(self) -> None:
        search = Search(sampler=self.sampler, num_trials=self.num_trials)  # type: ignore[arg-type]
        self.storage = open_journal(self.folder)
        sampler = make_sampler(search, SPACE, self.target)
        self.arm: SearchArm = open_arm(
            self.folder, self.storage, "mean", search, sampler, SPACE, self.cell, self.score
        )
        self.measured: list[str] = []

    def cell(self, parameters: Mapping[str, Any]) -> Cell:
        settings = {name: parameters[name] for name in SPACE}
        return Cell("function", settings, settings, self.code)

    def score(self, result: Mapping[str, Any]) -> dict[str, float]:
        value = float(result["difficulty"])
        return {
            OBJECTIVE: abs(value - self.target), "difficulty": value, "difficulty_se": 0.01
        }  # fmt: skip

    def propose(self, trial_id: str) -> Cell:
        parameters = self.arm.search.suggest(trial_id)
        assert parameters is not None
        self.arm.remaining -= 1
        return self.cell(parameters)

    def measure(self, cell: Cell) -> None:
        """What a worker does: nothing where the result is there."""
        if self.folder.load_cell(cell.id) is None:
            self.folder.save_cell(cell, {"difficulty": difficulty(cell.settings)}, 0.1)
            self.measured.append(cell.id)

    def tell(self, trial_id: str, cell: Cell) -> None:
        record = self.folder.load_cell(cell.id)
        assert record is not None
        self.arm.search.on_trial_complete(trial_id, self.score(record.result))

    def run(self, num_trials: int | None = None) -> Driver:
        """Runs some trials whole, or all that are left."""
        for i in range(self.arm.remaining if num_trials is None else num_trials):
            cell = self.propose(f"t{i}")
            self.measure(cell)
            self.tell(f"t{i}", cell)
        return self

    def trials(self) -> list[FrozenTrial]:
        return optuna.load_study(study_name="mean", storage=self.storage).trials

    def check(self) -> None:
        """The search has ended as it should have without any interruption."""
        trials = self.trials()
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * self.num_trials
        assert len({self.cell(trial.params).id for trial in trials}) == self.num_trials
        for trial in trials:
            assert trial.user_attrs["difficulty"] == difficulty(trial.params)
            assert trial.value == abs(difficulty(trial.params) - self.target)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "study")


def test_an_uninterrupted_search_makes_exactly_its_trials(folder: RunFolder) -> None:
    Driver(folder).run().check()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_runs_and_continues(folder: RunFolder, sampler: str) -> None:
    Driver(folder, sampler, num_trials=10).run(5)
    Driver(folder, sampler, num_trials=10).run().check()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_sampler_makes_a_proposal_twice_after_a_gap(folder: RunFolder, sampler: str) -> None:
    killed = Driver(folder, sampler, num_trials=9)
    killed.propose("never measured")
    killed.run(4)
    (folder.path / JOURNAL).unlink()
    Driver(folder, sampler, num_trials=9).run().check()


def test_a_grid_visits_no_point_twice(folder: RunFolder) -> None:
    """A square number of trials fills the grid; others leave some points out."""
    Driver(folder, "grid", num_trials=9).run().check()


def test_a_finished_search_is_left_as_it_is(folder: RunFolder) -> None:
    Driver(folder).run()
    again = Driver(folder)
    assert again.arm.remaining == 0
    again.check()


def test_a_search_that_proposes_a_place_twice_is_finished_all_the_same(folder: RunFolder) -> None:
    space = {"n": IntDistribution(1, 5)}

    def cell(parameters: Mapping[str, Any]) -> Cell:
        return Cell("function", {"n": parameters["n"]}, {"n": parameters["n"]}, "c0de")

    def score(result: Mapping[str, Any]) -> dict[str, float]:
        return {OBJECTIVE: result["loss"]}

    def opened() -> SearchArm:
        search = Search(sampler="tpe", num_trials=12)
        sampler = make_sampler(search, space, 0.0)
        return open_arm(folder, open_journal(folder), "n", search, sampler, space, cell, score)

    arm = opened()
    for i in range(12):
        proposed = cell(arm.search.suggest(f"t{i}"))
        loss = abs(proposed.settings["n"] - 3)
        if folder.load_cell(proposed.id) is None:
            folder.save_cell(proposed, {"loss": loss}, 0.1)
        arm.search.on_trial_complete(f"t{i}", {OBJECTIVE: loss})
    assert len(list(folder.cells())) < 12
    assert opened().remaining == 0


def test_more_trials_can_be_asked_for_later(folder: RunFolder) -> None:
    first = Driver(folder, num_trials=8).run()
    before = [trial.params for trial in first.trials()]
    more = Driver(folder, num_trials=12).run()
    more.check()
    assert len(more.measured) == 4
    assert [trial.params for trial in more.trials()[:8]] == before


def test_fewer_trials_than_were_measured_lose_none(folder: RunFolder) -> None:
    Driver(folder, num_trials=8).run()
    fewer = Driver(folder, num_trials=4)
    assert fewer.arm.remaining == 0
    assert len(fewer.trials()) == 8


def killed_before_measuring(driver: Driver) -> None:
    driver.propose("a")
    driver.propose("b")


def killed_while_measuring(driver: Driver) -> None:
    driver.measure(driver.propose("a"))
    driver.propose("b")


def killed_before_telling(driver: Driver) -> None:
    for name in "ab":
        driver.measure(driver.propose(name))


KILLED = [killed_before_measuring, killed_while_measuring, killed_before_telling]


@pytest.mark.parametrize("kill", KILLED)
def test_a_killed_search_ends_with_exactly_its_trials(
    folder: RunFolder, kill: Callable[[Driver], None]
) -> None:
    killed = Driver(folder).run(6)
    kill(killed)
    again = Driver(folder).run()
    again.check()
    assert len(killed.measured) + len(again.measured) == NUM_TRIALS


@pytest.mark.parametrize("kill", KILLED)
def test_many_kills_in_a_row_lose_and_repeat_nothing(
    folder: RunFolder, kill: Callable[[Driver], None]
) -> None:
    lives = []
    for _ in range(3):
        lives.append(Driver(folder).run(2))
        kill(lives[-1])
    lives.append(Driver(folder).run())
    lives[-1].check()
    measured = [cell for life in lives for cell in life.measured]
    assert len(measured) == len(set(measured)) == NUM_TRIALS


def test_what_was_running_is_proposed_again(folder: RunFolder) -> None:
    """A cell that left a checkpoint goes on from it."""
    killed = Driver(folder).run(6)
    running = {killed.propose(name).id for name in "ab"}
    again = Driver(folder)
    assert {again.propose(name).id for name in "ab"} == running
    third = Driver(folder)  # killed once more before it measured them
    assert {third.propose(name).id for name in "ab"} == running


def test_a_cell_that_failed_for_good_counts_as_a_trial(folder: RunFolder) -> None:
    killed = Driver(folder).run(5)
    folder.save_failure(killed.propose("a"), "ValueError: no", "…", 0.1)
    again = Driver(folder).run()
    states = [trial.state for trial in again.trials()]
    assert states.count(TrialState.COMPLETE) == NUM_TRIALS - 1
    assert states.count(TrialState.FAIL) == 1


def test_many_searches_of_a_run_read_each_cell_once(folder: RunFolder) -> None:
    cells, read = 20, list[str]()

    class Counted(RunFolder):
        def load_cell(self, cell_id: str) -> CellRecord | None:
            read.append(cell_id)
            return super().load_cell(cell_id)

    for i in range(cells):
        settings = {"alpha_X": 0.1 + i / 100, "alpha_Z": 0.5, "search": i}
        folder.save_cell(Cell("function", settings, settings, "c0de"), {"difficulty": 0.5}, 0.1)

    @dataclass
    class One(Driver):
        number: int = 0

        def cell(self, parameters: Mapping[str, Any]) -> Cell:
            settings = {**{name: parameters[name] for name in SPACE}, "search": self.number}
            return Cell("function", settings, settings, self.code)

    counted = Counted(folder.path)
    journal = open_journal(counted)
    search = Search(num_trials=4)
    for number in range(cells):
        one = One(folder, number=number)
        arm = open_arm(
            counted, journal, f"search {number}", search, make_sampler(search, SPACE, 0.5), SPACE,
            one.cell, one.score,
        )  # fmt: skip
        assert arm.remaining == 3
    assert len(read) == 2 * cells  # once to find whose it is, and once by its own search


def lost(journal: Path) -> None:
    journal.unlink()


def empty(journal: Path) -> None:
    journal.write_bytes(b"")


def cut_within_a_line(journal: Path) -> None:
    content = journal.read_bytes()
    journal.write_bytes(content[: int(0.7 * len(content))].rstrip(b"\n"))


def cut_between_lines(journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]))


def missing_lines(journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3] + lines[12:]))


def without_its_beginning(journal: Path) -> None:
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[1:]))


def zeros(journal: Path) -> None:
    journal.write_bytes(bytes(journal.stat().st_size))


def not_text(journal: Path) -> None:
    journal.write_bytes(b"\xff\xfe" + journal.read_bytes())


def other_numbers(journal: Path) -> None:
    changed = re.sub(r'"difficulty": ?0\.\d', '"difficulty":0.9', journal.read_text())
    assert changed != journal.read_text()
    journal.write_text(changed)


def other_parameters(journal: Path) -> None:
    changed = journal.read_text().replace('"param_value_internal":0.0', '"param_value_internal":7.')
    assert changed != journal.read_text()
    journal.write_text(changed)


DAMAGES = [
    lost, empty, cut_within_a_line, cut_between_lines, missing_lines, without_its_beginning,
    zeros, not_text, other_numbers, other_parameters,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal_is_made_good_from_the_cells(
    folder: RunFolder, damage: Callable[[Path], None]
) -> None:
    Driver(folder).run(8)
    damage(folder.path / JOURNAL)
    again = Driver(folder).run()
    again.check()
    assert len(again.measured) == NUM_TRIALS - 8


def test_a_journal_that_cannot_be_read_is_kept_for_a_look(folder: RunFolder) -> None:
    Driver(folder).run(4)
    not_text(folder.path / JOURNAL)
    Driver(folder)
    (kept,) = (folder.path / "quarantine").iterdir()
    assert kept.name.startswith(JOURNAL)


def test_a_killed_drivers_journal_lock_does_not_block(folder: RunFolder) -> None:
    Driver(folder).run(4)
    (folder.path / f"{JOURNAL}.lock").symlink_to(folder.path / JOURNAL)
    Driver(folder).run().check()


def test_a_damaged_cell_is_measured_again(folder: RunFolder) -> None:
    first = Driver(folder).run()
    damaged = first.measured[3]
    folder.cell_path(damaged).write_text("{")
    again = Driver(folder).run()
    again.check()
    assert again.measured == [damaged]


def test_another_code_measures_the_same_places_again(folder: RunFolder) -> None:
    first = Driver(folder).run()
    again = Driver(folder, code="0ther").run()
    again.check()
    assert len(again.measured) == NUM_TRIALS
    places = [{tuple(t.params.values()) for t in driver.trials()} for driver in (first, again)]
    assert places[0] == places[1]


def test_another_target_keeps_the_measurements_and_judges_them_anew(folder: RunFolder) -> None:
    Driver(folder, target=0.5).run()
    moved = Driver(folder, target=0.4)
    moved.check()
    assert moved.arm.remaining == 0


def test_two_searches_with_common_cells_make_their_own_trials(folder: RunFolder) -> None:
    """The same startup points are measured once and count in both."""

    class Point(Driver):
        def cell(self, parameters: Mapping[str, Any]) -> Cell:
            settings = {name: parameters[name] for name in SPACE}
            return Cell("function", settings, {**settings, "target": self.target}, self.code)

        def __post_init__(self) -> None:
            self.measured = []
            search = Search(num_trials=NUM_TRIALS)
            self.storage = open_journal(self.folder)
            self.arm = open_arm(
                self.folder, self.storage, "mean" if self.target == 0.5 else "other", search,
                make_sampler(search, SPACE, self.target), SPACE, self.cell, self.score,
            )  # fmt: skip

    first, second = Point(folder, target=0.5).run(), Point(folder, target=0.3).run()
    first.check()
    assert len(first.measured) == NUM_TRIALS
    assert 0 < len(second.measured) < NUM_TRIALS
    other = optuna.load_study(study_name="other", storage=second.storage)
    assert len(other.trials) == NUM_TRIALS
    assert Point(folder, target=0.3).arm.remaining == 0
