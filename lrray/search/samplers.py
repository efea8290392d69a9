"""How a search proposes its trials.

Every sampler here depends on (seed, the other trials) alone and keeps no state of its own, so a
continued search neither needs one nor makes a proposal twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count, product
from math import prod
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from lrray.references import is_reference
from lrray.search.joint import Joint, others
from lrray.search.joint import Space as Space
from lrray.studies.cell import digest
from lrray.studies.schema import Search


def make_sampler(search: Search, space: Space, target: float, lag: int = 1) -> BaseSampler:
    """The sampler that a study file names.

    Args:
        search: the study's settings.
        space: what is proposed from.
        target: the level, of the level-set sampler.
        lag: how many trials back the newest one lies that it takes notice of.
    """
    if is_reference(search.sampler):
        return Reseeded(search.custom_sampler, search.seed)
    if search.sampler == "level_set":
        # Alone in needing SciPy.
        from lrray.search.level_set_sampler import LevelSetSampler

        return LevelSetSampler(space, target, search.seed, lag)
    if search.sampler == "grid":
        return UnvisitedGrid(space, grid_axes(space, search.num_trials), search.seed)
    makers: dict[str, Callable[[int], BaseSampler]] = {
        "tpe": lambda seed: TPESampler(seed=seed),
        "gp": lambda seed: GPSampler(seed=seed, deterministic_objective=False),
        "random": lambda seed: RandomSampler(seed=seed),
    }
    return Reseeded(makers[search.sampler], search.seed)


class Reseeded(BaseSampler):
    """Another sampler, made anew for every trial with a seed that the other trials give.

    A sampler of Optuna's begins its random numbers anew after a restart, and so would propose
    again what it proposed before. One of the user's own forgets what it keeps in itself.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._sampler = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Makes the trial's own sampler."""
        known = [other.params for other in others(study, trial)]
        self._sampler = self._make(int(digest([self._seed, known])[:8], 16))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        """Passed on."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Space
    ) -> dict[str, Any]:
        """Passed on."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Passed on."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Passed on."""
        self._sampler.after_trial(study, trial, state, values)


class UnvisitedGrid(Joint):
    """Visits the points of a grid in random order, each once."""

    def __init__(self, space: Space, axes: Mapping[str, list[Any]], seed: int) -> None:
        self.space = space
        points = [dict(zip(axes, point, strict=True)) for point in product(*axes.values())]
        np.random.default_rng(seed).shuffle(points)
        self._names, self._points = list(axes), points

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Space
    ) -> dict[str, Any]:
        """The next point of the grid; :func:`num_trials` says how many there are."""
        known = others(study, trial)
        visited = {tuple(map(other.params.get, self._names)) for other in known}
        return next(point for point in self._points if tuple(point.values()) not in visited)


def num_trials(search: Search, space: Space) -> int:
    """Trials that a search makes: a grid ends when it is exhausted."""
    if search.sampler != "grid":
        return search.num_trials
    return min(search.num_trials, prod(map(len, grid_axes(space, search.num_trials).values())))


def grid_axes(space: Mapping[str, BaseDistribution], num_trials: int) -> dict[str, list[Any]]:
    """Values along every axis, as few as give at least ``num_trials`` points where they can."""
    per_axis = next(n for n in count(2) if n ** len(space) >= num_trials)
    return {name: _grid_axis(distribution, per_axis) for name, distribution in space.items()}


def _grid_axis(distribution: Any, size: int) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    spread = np.geomspace if distribution.log else np.linspace
    values = spread(distribution.low, distribution.high, size)
    if isinstance(distribution, IntDistribution):
        return sorted({round(value) for value in values})
    # Rounding may push the ends just over the bounds.
    return [float(v) for v in np.clip(values, distribution.low, distribution.high)]
