"""How fast samplers find a contour that is known in closed form.

The surface has the shape of a real difficulty surface (a falling curve across the square of
log-alphas, bent, flat at both ends) and the noise of a default study's trials.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from scipy.optimize import brentq

from lrray.difficulty.level_set import Bounds, LevelSet
from lrray.search.samplers import make_sampler
from lrray.studies.schema import Search

BOUNDS = Bounds((1e-3, 1e-3), (1.0, 1.0))
SPACE: dict[str, BaseDistribution] = {
    name: FloatDistribution(1e-3, 1.0, log=True) for name in ("alpha_X", "alpha_Z")
}
TARGET = 0.75
NOISE = 0.006
"""Standard error of a trial of the default study: 0.03 between kernel draws over 24 of them."""

Points = NDArray[np.float64]


def surface(points: Points) -> NDArray[np.float64]:
    """Difficulty ``[n]`` at (alpha_X, alpha_Z) ``[n, 2]``."""
    x, z = np.log10(points).T + 1.5
    slope = 1.3 * x + 1.0 * z + 0.35 * x * z
    return np.asarray(0.15 + 0.85 / (1 + np.exp(-slope)))


@cache
def true_contour(num_points: int = 60) -> Points:
    """Points of the surface's contour ``[n, 2]``, from one edge of the square to the other."""
    found = []
    for log_x in np.linspace(-3, 0, num_points):

        def miss(log_z: float, at: float = log_x) -> float:
            return float(surface(np.array([[10**at, 10**log_z]]))[0]) - TARGET

        if miss(-3) * miss(0) < 0:
            found.append((10**log_x, 10 ** brentq(miss, -3, 0)))
    return np.array(found)


class Search2D:
    """A search of the contour, driven in this process by an Optuna study.

    Args:
        sampler: its name in a study file.
        seed: of sampler and noise.
        num_trials: that the search is laid out for: the grid's size.
    """

    def __init__(self, sampler: str, seed: int, num_trials: int) -> None:
        settings = Search.model_validate(
            {"sampler": sampler, "seed": seed, "num_trials": num_trials}
        )
        self._study = optuna.create_study(sampler=make_sampler(settings, SPACE, TARGET))
        self._rng = np.random.default_rng([seed, 1])
        self.points: list[list[float]] = []
        self.values: list[float] = []

    def run(self, num_trials: int) -> Search2D:
        """Makes further trials until there are ``num_trials``."""
        while len(self.values) < num_trials:
            trial = self._study.ask(fixed_distributions=SPACE)
            point = [trial.params[name] for name in SPACE]
            value = float(surface(np.array([point]))[0] + self._rng.normal(0, NOISE))
            trial.set_user_attr("difficulty", value)
            trial.set_user_attr("difficulty_se", NOISE)
            self._study.tell(trial, abs(value - TARGET))
            self.points.append(point)
            self.values.append(value)
        return self

    def contour_error(self, num_trials: int | None = None) -> float:
        """Mean miss of the fitted surface along the true contour, in units of difficulty."""
        count = num_trials or len(self.values)
        level_set = LevelSet(BOUNDS, TARGET)
        errors = np.full(count, NOISE)
        level_set.fit(np.array(self.points[:count]), np.array(self.values[:count]), errors)
        return float(np.abs(level_set.posterior(true_contour())[0] - TARGET).mean())


def median_errors(sampler: str, counts: tuple[int, ...], seeds: range) -> dict[int, float]:
    """Number of trials -> median contour error over seeds."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    errors: dict[int, list[float]] = {count: [] for count in counts}
    for seed in seeds:
        if sampler == "grid":  # laid out anew for every number of trials
            for count in counts:
                errors[count].append(Search2D(sampler, seed, count).run(count).contour_error())
            continue
        search = Search2D(sampler, seed, counts[-1]).run(counts[-1])
        for count in counts:
            errors[count].append(search.contour_error(count))
    return {count: float(np.median(values)) for count, values in errors.items()}
