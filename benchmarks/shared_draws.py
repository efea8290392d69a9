"""Contour error and coverage of the band where trials share kernel draws: a script for any tree.

``python benchmarks/shared_draws.py DRAWS LAG SEEDS`` searches the surface of
:mod:`benchmarks.contours` with trials of DRAWS kernel draws, whose deviations correlate over log
alphas as those of real draws do, and prints one JSON line. Run with another tree in PYTHONPATH it
measures that tree's level set.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contours import BOUNDS, TARGET, surface, true_contour
from lrray.difficulty.level_set import Contour, LevelSet, startup_points

SPREAD = 0.03
"""Standard deviation between kernel draws."""

SHARED = 0.4
"""Correlation of the deviations of places side by side; it falls as ``exp(-d**2 / 2)``."""

NUM_TRIALS = 32

Points = NDArray[np.float64]


class World:
    """Trials of one set of draws: their mean deviates smoothly over log alphas, and by place."""

    def __init__(self, seed: int, draws: int) -> None:
        self._rng = np.random.default_rng([seed, 9])
        self._waves = self._rng.normal(size=(400, 2))
        self._phases = self._rng.uniform(0, 2 * np.pi, 400)
        self._weights = self._rng.normal(size=400) * np.sqrt(2 / 400)
        self._draws = draws

    def measure(self, point: Points) -> tuple[float, float]:
        """A trial's mean and its standard error."""
        true_error = SPREAD / np.sqrt(self._draws)
        shared = np.cos(self._waves @ np.log(point) + self._phases) @ self._weights
        deviation = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * self._rng.normal()
        freedom = self._draws - 1
        error = true_error * np.sqrt(self._rng.chisquare(freedom) / freedom)
        return float(surface(point[None])[0] + true_error * deviation), float(error)


def searched(seed: int, draws: int, lag: int) -> tuple[float, float]:
    """Contour error at the end, in units of difficulty, and the share of the line in its band."""
    world, level_set = World(seed, draws), LevelSet(BOUNDS, TARGET)
    points = list(startup_points(BOUNDS, 8, seed))
    measured = [world.measure(point) for point in points]
    while len(points) < NUM_TRIALS:
        known = len(points) - lag + 1
        _fit(level_set, points[:known], measured[:known])
        running = np.array(points[known:]).reshape(-1, 2)
        rng = np.random.default_rng([seed, len(points)])
        points.append(level_set.next_point(running, rng))
        measured.append(world.measure(points[-1]))
    _fit(level_set, points, measured)
    miss = np.abs(level_set.posterior(true_contour())[0] - TARGET)
    return float(miss.mean()), _covered(level_set.contours()[0])


def _fit(level_set: LevelSet, points: list[Points], measured: list[tuple[float, float]]) -> None:
    values, errors = np.array(measured).T
    level_set.fit(np.array(points), values, errors)


def _covered(piece: Contour) -> float:
    slope = []
    for axis in range(2):
        factor = np.where(np.arange(2) == axis, 1.001, 1.0)
        rise = surface(piece.points * factor) - surface(piece.points / factor)
        slope.append(rise / (2 * np.log(1.001)))
    miss = np.abs(surface(piece.points) - TARGET) / np.hypot(*slope)
    return float((miss <= piece.half_width).mean())


def median_error(draws: int, lag: int, num_seeds: int) -> dict[str, Any]:
    """Median contour error and mean coverage over seeds."""
    found = np.array([searched(seed, draws, lag) for seed in range(num_seeds)])
    return {"error": float(np.median(found[:, 0])), "coverage": float(found[:, 1].mean())}


if __name__ == "__main__":
    print(json.dumps(median_error(*map(int, sys.argv[1:4]))))
