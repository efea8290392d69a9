"""The difference estimator against its textbook formulas, and its errors by simulation."""

import numpy as np
import pytest
from scipy import stats

from lrray.difficulty.two_level import HANDFUL, contributions, num_exact, num_repeats


def draws(rng, count, spread=0.025, difference=0.003, correlation=0.4):
    """Skewed values of two measures whose differences move with them."""
    base = spread * (rng.gamma(4.0, size=count) - 4) / 2
    own = difference * rng.standard_t(8, count) / np.sqrt(8 / 6)
    apart = correlation * difference / spread * base + np.sqrt(1 - correlation**2) * own
    return 0.78 + base, 0.75 + base + apart


def test_contributions_have_the_mean_and_the_error_of_the_difference_estimate():
    rng = np.random.default_rng(0)
    cheap, exact = draws(rng, 60, correlation=0.0)
    known = exact[:12]
    values = contributions(cheap, known)
    apart = known - cheap[:12]
    assert values.mean() == pytest.approx(cheap.mean() + apart.mean())
    centred = (cheap[:12] - cheap.mean()) @ (apart - apart.mean())
    stretch = 60 / 12 * np.sqrt(12 * 59 / (11 * 60))
    of_cheap, together = cheap.var(ddof=1) / 60, 2 * stretch * centred / (59 * 60)
    assert values.var(ddof=1) / 60 == pytest.approx(of_cheap + together + apart.var(ddof=1) / 12)


def test_contributions_of_draws_all_measured_exactly_are_their_values():
    cheap, exact = draws(np.random.default_rng(1), 5)
    assert contributions(cheap, exact).tolist() == exact.tolist()


@pytest.mark.parametrize("count", [12, 40])
def test_intervals_cover_the_mean_of_the_exact_measure_as_often_as_they_say(count):
    rng = np.random.default_rng(count)
    misses, covered = [], []
    for _ in range(3000):
        cheap, exact = draws(rng, count)
        n = num_exact(cheap, exact[:HANDFUL], 9e-3, 70e-3)
        values = contributions(cheap, exact[:n])
        error = values.std(ddof=1) / np.sqrt(count)
        misses.append(values.mean() - 0.75)
        covered.append(abs(misses[-1]) <= stats.t.ppf(0.975, count - 1) * error)
    assert abs(np.mean(misses)) < 3 * np.std(misses) / np.sqrt(len(misses))  # no bias
    assert np.mean(covered) == pytest.approx(0.95, abs=0.025)


def test_estimates_of_further_draws_are_joined_by_putting_contributions_together():
    rng = np.random.default_rng(3)
    estimates, errors = [], []
    for _ in range(1500):
        parts = []
        for _ in range(4):
            cheap, exact = draws(rng, 16)
            parts.append(contributions(cheap, exact[:HANDFUL]))
        values = np.concatenate(parts)
        estimates.append(values.mean())
        errors.append(values.var(ddof=1) / len(values))
    assert np.mean(errors) == pytest.approx(np.var(estimates), rel=0.1)


def variance_by_time(n, count, between, difference, base, cost):
    return (between / count + difference / n) * (count * base + n * cost)


def test_the_split_has_the_least_error_in_its_time():
    rng = np.random.default_rng(4)
    cheap, exact = draws(rng, 400, difference=0.012, correlation=0.0)
    n = num_exact(cheap, exact[:100], 9e-3, 70e-3)
    difference = (exact - cheap)[:100].var(ddof=1)
    best = min(
        range(100, 401),
        key=lambda n: variance_by_time(n, 400, cheap.var(ddof=1), difference, 9e-3, 70e-3),
    )
    assert n == pytest.approx(best, abs=1)


def test_measures_that_are_not_alike_are_all_measured_exactly():
    rng = np.random.default_rng(5)
    assert num_exact(rng.normal(size=40), rng.normal(size=HANDFUL) * 3, 9e-3, 70e-3) == 40


def test_an_exact_measure_that_costs_nothing_is_made_everywhere():
    cheap, exact = draws(np.random.default_rng(6), 40)
    assert num_exact(cheap, exact[:HANDFUL], 70e-3, 1e-6) == 40


@pytest.mark.parametrize(("between", "within", "expected"), [(1.0, 1.0, 3), (1.0, 0.1, 1)])
def test_repeats_within_a_draw_follow_their_share_of_the_error(between, within, expected):
    rng = np.random.default_rng(7)
    values = rng.normal(0, between, (2000, 1)) + rng.normal(0, within, (2000, 2))
    assert num_repeats(values, 16, 9e-3, 1e-3) == expected


def test_repeats_are_all_made_where_draws_do_not_differ():
    values = np.random.default_rng(8).normal(size=(4, 2))
    assert num_repeats(values - values.mean(axis=1, keepdims=True), 16, 9e-3, 1e-3) == 16
    assert num_repeats([[1.0], [2.0]], 1, 9e-3, 1e-3) == 1
