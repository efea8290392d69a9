"""What lrray's own samplers have in common."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

Space = dict[str, BaseDistribution]


class Joint(BaseSampler):
    """Base of samplers that propose all parameters at once."""

    space: Space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        """All of the space is proposed jointly."""
        return self.space

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Never needed: the space is covered."""
        raise NotImplementedError(f"{param_name} is not part of the searched space")


def others(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    """All trials but this one whose parameters are known."""
    trials = study.get_trials(deepcopy=False)
    return [other for other in trials if other.params and other.number != trial.number]
