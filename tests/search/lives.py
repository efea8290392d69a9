"""Lives of a driver that may end at any moment, without Ray: what a search does in each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from lrray.results.folder import RunFolder
from lrray.search.memory import Searches
from lrray.search.objective import Objective, Score
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
    name: str = "mean"

    def __post_init__(self) -> None:
        search = Search(sampler=self.sampler, num_trials=self.num_trials)  # type: ignore[arg-type]
        sampler = make_sampler(search, SPACE, self.target)
        self.searches = Searches(self.folder)
        self.search = self.searches.open(self.name, search, SPACE, self.objective, sampler)
        self.asked: dict[str, Trial] = {}
        self.measured: list[str] = []

    @property
    def objective(self) -> Objective:
        return Objective("distance", "minimize", self.cell, self.score)

    def cell(self, parameters: Mapping[str, Any]) -> Cell:
        settings = {name: parameters[name] for name in SPACE}
        return Cell("function", settings, settings, self.code)

    def score(self, result: Mapping[str, Any]) -> Score:
        value = float(result["difficulty"])
        return Score(abs(value - self.target), {"difficulty": value, "difficulty_se": 0.01})

    def propose(self, trial_id: str) -> Cell:
        self.asked[trial_id], cell = self.search.ask()
        return cell

    def measure(self, cell: Cell) -> None:
        """What a worker does: nothing where the result is there."""
        if self.folder.load_cell(cell.id) is None:
            self.folder.save_cell(cell, {"difficulty": difficulty(cell.settings)}, 0.1)
            self.measured.append(cell.id)

    def tell(self, trial_id: str, cell: Cell) -> None:
        self.search.tell(self.asked[trial_id], self.folder.load_cell(cell.id))

    def run(self, num_trials: int | None = None) -> Driver:
        """Runs some trials whole, or all that are left."""
        for i in range(self.search.remaining if num_trials is None else num_trials):
            cell = self.propose(f"t{i}")
            self.measure(cell)
            self.tell(f"t{i}", cell)
        return self

    def trials(self) -> list[FrozenTrial]:
        return self.search.study.trials

    def check(self) -> None:
        """The search has ended as it should have without any interruption."""
        trials = self.trials()
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * self.num_trials
        assert len({self.cell(trial.params).id for trial in trials}) == self.num_trials
        for trial in trials:
            assert trial.user_attrs["difficulty"] == difficulty(trial.params)
            assert trial.value == abs(difficulty(trial.params) - self.target)
