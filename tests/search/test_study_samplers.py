"""Samplers: the level-set search finds a contour with fewer trials than the others."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.contours import BOUNDS, TARGET, Search2D, median_errors, surface, true_contour
from lrray.search.samplers import grid_axes
from lrray.studies.space import Range

SEEDS = range(9)
NUM_TRIALS = 40


@pytest.fixture(scope="module")
def level_set_error() -> float:
    return median_errors("level_set", (NUM_TRIALS,), SEEDS)[NUM_TRIALS]


def test_the_known_contour_is_one() -> None:
    contour = true_contour()
    assert np.abs(surface(contour) - TARGET).max() < 1e-9
    assert np.log10(contour[:, 1]).std() > 0.3


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_level_set_search_beats(sampler: str, level_set_error: float) -> None:
    other = median_errors(sampler, (NUM_TRIALS,), SEEDS)[NUM_TRIALS]
    assert level_set_error < 0.7 * other


def test_level_set_search_needs_at_most_half_the_trials_of_random(level_set_error: float) -> None:
    twice = median_errors("random", (2 * NUM_TRIALS,), SEEDS)[2 * NUM_TRIALS]
    assert level_set_error < twice


@pytest.mark.parametrize("sampler", ["level_set", "tpe", "random", "grid"])
def test_the_same_seed_makes_the_same_search(sampler: str) -> None:
    one, two, other = (Search2D(sampler, seed, 16).run(16) for seed in (3, 3, 4))
    assert one.points == two.points
    assert one.points != other.points


@pytest.mark.parametrize("sampler", ["level_set", "tpe", "gp", "random", "grid"])
def test_every_sampler_stays_within_the_space(sampler: str) -> None:
    points = np.array(Search2D(sampler, 0, 12).run(12).points)
    assert (points >= BOUNDS.low).all()
    assert (points <= BOUNDS.high).all()
    assert len(np.unique(points, axis=0)) == 12


def test_grid_axes_have_as_few_values_as_give_enough_points() -> None:
    ranges = {
        "rate": Range(distribution="log_uniform", low=0.01, high=1.0),
        "kind": Range(distribution="choice", values=("a", "b")),
        "depth": Range(distribution="int_uniform", low=1, high=3),
    }
    axes = grid_axes({name: value.to_optuna() for name, value in ranges.items()}, 20)
    assert axes["rate"] == pytest.approx([0.01, 0.1, 1.0])
    assert axes["kind"] == ["a", "b"]
    assert axes["depth"] == [1, 2, 3]
