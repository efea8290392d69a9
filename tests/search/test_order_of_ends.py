"""A search of a contour proposes the same whichever of its running trials ends first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lrray.results.folder import RunFolder
from lrray.search.memory import Searches
from lrray.search.queue import SearchedCells
from lrray.search.samplers import make_sampler
from lrray.studies.schema import Search
from tests.search.lives import SPACE, Driver, difficulty

NUM_TRIALS, LAG = 20, 4


def searched(folder: Path, order_seed: int, slots: int = 2) -> list[dict[str, float]]:
    """Proposals where ``slots`` trials run at once and a random one of them ends first."""
    driver = Driver(RunFolder.create(folder, "study"))
    search = Search(num_trials=NUM_TRIALS)
    sampler = make_sampler(search, SPACE, 0.5, LAG)
    opened = Searches(driver.folder).open("own", search, SPACE, driver.objective, sampler, LAG)
    source, rng = SearchedCells(driver.folder, [opened]), np.random.default_rng(order_seed)
    running, count = list[str](), 0
    while running or source.num_left:
        cells = source.hand_out(f"t{count}") if len(running) < slots else None
        if cells:
            running.append(f"t{count}")
            count += 1
            continue
        trial = running.pop(rng.integers(len(running)))
        for cell in source.running[trial]:
            driver.folder.save_cell(cell, {"difficulty": difficulty(cell.settings)}, 0.1)
        source.trial_ended(trial)
    return [trial.params for trial in opened.study.trials]


@pytest.mark.parametrize("order_seed", [1, 2, 3])
def test_proposals_do_not_depend_on_which_trial_ends_first(tmp_path: Path, order_seed: int) -> None:
    assert searched(tmp_path / "a", order_seed) == searched(tmp_path / "b", order_seed=0)


def test_proposals_do_not_depend_on_the_number_of_slots_below_the_lag(tmp_path: Path) -> None:
    alone, three = (searched(tmp_path / f"{n}", order_seed=0, slots=n) for n in (1, 3))
    assert alone == three


def test_a_proposal_waits_for_the_trial_that_it_must_know(tmp_path: Path) -> None:
    driver = Driver(RunFolder.create(tmp_path, "study"))
    search = Search(num_trials=NUM_TRIALS)
    sampler = make_sampler(search, SPACE, 0.5, LAG)
    opened = Searches(driver.folder).open("own", search, SPACE, driver.objective, sampler, LAG)
    source = SearchedCells(driver.folder, [opened])
    for i in range(LAG):
        assert source.hand_out(f"t{i}")
    assert source.hand_out("t4") is None  # to be asked again
    (cell,) = source.running["t1"]
    driver.measure(cell)
    source.trial_ended("t1")
    assert source.hand_out("t4") is None  # the first still runs
    driver.measure(source.running["t0"][0])
    source.trial_ended("t0")
    assert source.hand_out("t4")
    assert source.hand_out("t5")
    assert source.hand_out("t6") is None
