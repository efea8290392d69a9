"""Slopes within units: against least squares with a level per unit, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lrray.regression import smallest_effect, within_slope
from lrray.statistics import (
    equivalence,
    sign_flip_p_value,
    summarize,
    unpaired_difference,
)

PLACES = np.linspace(0, 1, 5)


def ladder(rng: np.random.Generator, slope: float, units: int = 12, covariate: float = 0.0):
    """Outcomes of seeds along five places: levels, slopes and scatter of their own, uneven."""
    x = np.tile(PLACES, units)
    unit = np.repeat(np.arange(units), 5)
    held = -0.4 * x + rng.normal(0, 0.05, len(x))  # falls along the way, as n-gram shares do
    level, own = rng.normal(0, 1, units)[unit], rng.normal(0, 0.1, units)[unit]
    noise = rng.normal(0, 0.05 + 0.1 * x)
    return x, level + (slope + own) * x + covariate * held + noise, unit, held


def test_the_slope_is_that_of_least_squares_with_a_level_for_each_unit() -> None:
    x, y, unit, held = ladder(np.random.default_rng(0), 0.3, covariate=0.5)
    levels = (unit[:, None] == np.arange(12)).astype(float)
    for extra in (None, held):
        columns = [x[:, None], levels] if extra is None else [x[:, None], levels, extra[:, None]]
        expected = np.linalg.lstsq(np.hstack(columns), y, rcond=None)[0][0]
        assert within_slope(x, y, unit.tolist(), extra).slope.mean == pytest.approx(expected)


def test_of_a_complete_ladder_it_is_the_mean_of_the_units_own_slopes() -> None:
    """And its error and p are those of these slopes, so nothing is assumed of the levels."""
    x, y, unit, _ = ladder(np.random.default_rng(1), 0.3)
    found = within_slope(x, y, unit.tolist())
    own = [np.polyfit(PLACES, y[unit == i], 1)[0] for i in range(12)]
    expected = summarize(own)
    for name in ("n", "mean", "standard_error", "low", "high"):
        assert getattr(found.slope, name) == pytest.approx(getattr(expected, name)), name
    assert found.p_value == sign_flip_p_value(own)


@pytest.mark.parametrize("with_covariate", [False, True])
def test_intervals_cover_and_tests_have_their_size(with_covariate: bool) -> None:
    """1,000 simulated ladders whose seeds differ in level and slope, with uneven scatter."""
    rng, covered, rejected, runs = np.random.default_rng(2), 0, 0, 1000
    for _ in range(runs):
        x, y, unit, held = ladder(rng, 0.0, covariate=0.5 if with_covariate else 0.0)
        found = within_slope(x, y, unit.tolist(), held if with_covariate else None)
        covered += found.slope.low < 0 < found.slope.high
        rejected += found.p_value <= 0.05
    assert 0.93 < covered / runs < 0.975
    assert 0.03 < rejected / runs < 0.07


def test_what_a_covariate_explains_is_no_slope() -> None:
    rng = np.random.default_rng(3)
    x, y, unit, held = ladder(rng, 0.0, units=40, covariate=2.0)
    without, adjusted = (within_slope(x, y, unit.tolist(), part) for part in (None, held))
    assert without.slope.high < -0.5
    assert adjusted.slope.low < 0 < adjusted.slope.high
    same = within_slope(x, y, unit.tolist(), 3 * x)
    assert np.isnan(same.slope.mean)
    assert np.isnan(same.p_value)


def test_one_unit_has_a_slope_and_no_error_and_bad_numbers_are_refused() -> None:
    found = within_slope([0, 1, 0], [1, 3, 9], ["a", "a", "b"])
    assert found.slope.mean == 2
    assert np.isnan(found.slope.standard_error)
    with pytest.raises(ValueError, match="finite"):
        within_slope([0, 1], [1, np.nan], ["a", "a"])
    with pytest.raises(ValueError, match="equal lengths"):
        within_slope([0, 1], [1, 2], ["a"])


def test_the_smallest_effect_is_found_as_often_as_it_says() -> None:
    rng, effect = np.random.default_rng(4), smallest_effect(0.5, 12)
    values = rng.normal(effect, 0.5, (4000, 12))
    assert np.mean(stats.ttest_1samp(values, 0, axis=1).pvalue < 0.05) == pytest.approx(
        0.8, abs=0.02
    )
    assert smallest_effect(0.0, 12) == 0
    assert np.isnan(smallest_effect(0.5, 1))


def test_equivalence_is_shown_where_the_90_percent_interval_lies_within_the_margin() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        values = rng.normal(rng.normal(0, 0.05), 0.1, 12)
        inside = summarize(values, confidence=0.9)
        shown = equivalence(values, 0.1).shown
        assert shown == (inside.low > -0.1 and inside.high < 0.1)
    assert not equivalence([0.0], 0.1).shown
    assert equivalence([0.01, 0.01], 0.1).p_value == 0


def test_equivalence_of_means_at_the_margin_is_claimed_in_one_of_twenty() -> None:
    rng, claimed = np.random.default_rng(6), 0
    for _ in range(2000):
        a, b = rng.normal(0.1, 0.1, 12), rng.normal(0, 0.15, 8)
        claimed += unpaired_difference(a, b, 0.1)[1].shown
    assert claimed / 2000 < 0.065


def test_an_unpaired_difference_is_welchs() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.normal(0, 1, 9), rng.normal(1, 3, 14)
    difference, _ = unpaired_difference(a, b, 1)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))
    assert difference.n == 9
    assert np.isnan(unpaired_difference([1.0], [2.0, 3.0], 1)[0].low)
