"""Large studies cost in proportion to their size: counted in comparisons, not in seconds."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import IntDistribution

from lrray.errors import LrrayError
from lrray.search.samplers import UnvisitedGrid
from lrray.studies.grid import axis_values


class Counted(int):
    """A number that counts how often it is compared."""

    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Counted.comparisons += 1
        return int(self) == other

    def __hash__(self) -> int:
        return hash(int(self))


@pytest.fixture
def numbers() -> list[Counted]:
    Counted.comparisons = 0
    return [Counted(i) for i in range(400)]


def test_an_axis_of_many_values(numbers: list[Counted]) -> None:
    assert axis_values(numbers, "grid.seed") is numbers
    assert Counted.comparisons <= 3 * len(numbers)


def test_an_axis_of_lists_and_mappings() -> None:
    assert axis_values([[1], {"a": 2}], "grid.x") == [[1], {"a": 2}]
    with pytest.raises(LrrayError, match="values must be distinct"):
        axis_values([[1], {"a": 2}, [1]], "grid.x")


def test_a_proposal_of_a_grid_that_is_almost_whole(numbers: list[Counted]) -> None:
    space = {"n": IntDistribution(0, len(numbers) - 1)}
    sampler = UnvisitedGrid(dict(space), {"n": numbers}, seed=0)
    study = optuna.create_study()
    study.add_trials(
        optuna.trial.create_trial(value=0.0, params={"n": i}, distributions=dict(space))
        for i in range(len(numbers))
        if i != 7
    )
    Counted.comparisons = 0
    assert sampler.sample_relative(study, study.ask(), dict(space)) == {"n": 7}
    assert Counted.comparisons <= 3 * len(numbers)
