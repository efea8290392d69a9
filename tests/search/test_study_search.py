"""A search continues exactly where its cells' files say it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from lrray.results.folder import RunFolder
from lrray.results.record import CellRecord
from lrray.search.memory import Searches
from lrray.search.objective import Objective, Score
from lrray.search.proposals import PROPOSALS
from lrray.search.queue import OpenSearch
from lrray.search.samplers import make_sampler
from lrray.studies.cell import Cell
from lrray.studies.schema import Search
from tests.search.lives import NUM_TRIALS, SAMPLERS, SPACE, Driver


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
    shutil.rmtree(folder.path / PROPOSALS)
    Driver(folder, sampler, num_trials=9).run().check()


def test_a_grid_visits_no_point_twice(folder: RunFolder) -> None:
    """A square number of trials fills the grid; others leave some points out."""
    Driver(folder, "grid", num_trials=9).run().check()


def test_a_finished_search_is_left_as_it_is(folder: RunFolder) -> None:
    Driver(folder).run()
    again = Driver(folder)
    assert again.search.remaining == 0
    again.check()


def test_a_search_that_proposes_a_place_twice_is_finished_all_the_same(folder: RunFolder) -> None:
    space = {"n": IntDistribution(1, 5)}

    def cell(parameters: Mapping[str, Any]) -> Cell:
        return Cell("function", {"n": parameters["n"]}, {"n": parameters["n"]}, "c0de")

    def score(result: Mapping[str, Any]) -> Score:
        return Score(result["loss"], {})

    def opened() -> OpenSearch:
        search = Search(sampler="tpe", num_trials=12)
        objective = Objective("loss", "minimize", cell, score)
        sampler = make_sampler(search, space, 0.0)
        return Searches(folder).open("n", search, space, objective, sampler)

    first = opened()
    for _ in range(12):
        trial, proposed = first.ask()
        if folder.load_cell(proposed.id) is None:
            folder.save_cell(proposed, {"loss": abs(proposed.settings["n"] - 3)}, 0.1)
        first.tell(trial, folder.load_cell(proposed.id))
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
    assert fewer.search.remaining == 0
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


def test_the_outcome_names_the_best_trial_and_counts_the_others(folder: RunFolder) -> None:
    killed = Driver(folder).run(5)
    folder.save_failure(killed.propose("a"), "ValueError: no", "…", 0.1)
    search = Driver(folder).run().search
    outcome = search.outcome()
    assert (outcome["done"], outcome["stopped"], outcome["failed"]) == (NUM_TRIALS - 1, 0, 1)
    values = {trial.value: trial.params for trial in search.measured()}
    assert outcome["value"] == min(values)
    assert outcome["settings"] == values[min(values)]


def test_a_search_without_a_measured_trial_has_an_outcome_without_a_best(
    folder: RunFolder,
) -> None:
    outcome = Driver(folder).search.outcome()
    assert outcome == {
        "condition": "mean", "metric": "distance", "done": 0, "stopped": 0, "failed": 0
    }  # fmt: skip


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

    searches = Searches(Counted(folder.path))
    search = Search(num_trials=4)
    for number in range(cells):
        objective = One(folder, number=number, name="other").objective
        sampler = make_sampler(search, SPACE, 0.5)
        opened = searches.open(f"search {number}", search, SPACE, objective, sampler)
        assert opened.remaining == 3
    assert len(read) == 2 * cells  # once to find whose it is, and once by its own search


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
    assert moved.search.remaining == 0


def test_two_searches_with_common_cells_make_their_own_trials(folder: RunFolder) -> None:
    """The same startup points are measured once and count in both."""

    class Point(Driver):
        def cell(self, parameters: Mapping[str, Any]) -> Cell:
            settings = {name: parameters[name] for name in SPACE}
            return Cell("function", settings, {**settings, "target": self.target}, self.code)

    first = Point(folder, target=0.5, name="one").run()
    second = Point(folder, target=0.3, name="other").run()
    first.check()
    assert len(first.measured) == NUM_TRIALS
    assert 0 < len(second.measured) < NUM_TRIALS
    assert len(second.trials()) == NUM_TRIALS
    assert Point(folder, target=0.3, name="other").search.remaining == 0
