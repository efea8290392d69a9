"""Statistics against closed forms, published examples and enumeration."""

import math
from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from lrray import statistics
from lrray.statistics import (
    bootstrap_interval,
    holm,
    paired_difference,
    sign_flip_p_value,
    summarize,
)
from lrray.text import difference_in_words, in_words


def test_a_difference_is_told_to_the_digits_of_its_error():
    assert in_words(summarize([9999.99, 10000.01])) == "10000.000 ± 0.010 (n = 2)"
    told = difference_in_words(summarize([-0.7, -0.8, -0.75, -0.74]), "bits/token")
    assert told == "-0.748 bits/token (95 % interval -0.813 to -0.682)"
    assert difference_in_words(summarize([100.0, 300.0, 260.0])) == (
        "+220 (95 % interval -43 to +483)"
    )
    assert difference_in_words(summarize([0.25])) == "+0.25 (one seed, no interval)"
    assert difference_in_words(summarize([0.25, 0.25])) == "+0.25 (no scatter)"


def test_interval_of_three_values_uses_students_t_with_two_degrees_of_freedom():
    summary = summarize([1.0, 2.0, 3.0])
    # t(0.975, 2) = 4.302653, from tables; standard error 1 / sqrt(3)
    assert summary.mean == 2.0
    assert summary.standard_error == pytest.approx(1 / math.sqrt(3))
    assert summary.high == pytest.approx(2 + 4.302653 / math.sqrt(3), rel=1e-6)
    assert summary.low == pytest.approx(2 - 4.302653 / math.sqrt(3), rel=1e-6)
    assert in_words(summary) == "2.00 ± 0.58 (n = 3)"


def test_a_single_value_has_no_error():
    summary = summarize([5.0])
    assert summary.n == 1
    assert math.isnan(summary.standard_error)
    assert in_words(summary) == "5 (n = 1)"


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="at least one value"):
        summarize([])


def test_t_interval_covers_the_mean_in_95_of_100_samples():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        summary = summarize(rng.normal(3.0, 2.0, 6))
        covered += summary.low <= 3.0 <= summary.high
    assert 0.935 < covered / 2000 < 0.965


def test_bootstrap_interval_is_reproducible_and_contains_the_mean():
    values = np.random.default_rng(1).exponential(size=20)
    low, high = bootstrap_interval(values)
    assert (low, high) == bootstrap_interval(values)
    assert low < values.mean() < high


def test_bootstrap_interval_of_equal_values_is_that_value():
    assert bootstrap_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)
    assert all(math.isnan(end) for end in bootstrap_interval([2.0]))


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8))
def test_sign_flip_p_equals_counting_all_flips(differences):
    observed = abs(sum(differences))
    flips = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    expected = sum(flip >= observed for flip in flips) / len(flips)
    assert sign_flip_p_value(np.array(differences, float)) == pytest.approx(expected)


def test_smallest_sign_flip_p_of_six_pairs_is_two_in_sixty_four():
    assert sign_flip_p_value([0.3, 0.5, 0.2, 0.9, 0.4, 0.1]) == 2 / 64


def test_sampled_sign_flip_p_is_uniform_under_the_null():
    rng = np.random.default_rng(2)
    p_values = [sign_flip_p_value(rng.normal(size=20), seed=i, num_flips=999) for i in range(400)]
    assert 0.02 < np.mean(np.array(p_values) <= 0.05) < 0.085


def test_pairing_removes_what_both_share():
    rng = np.random.default_rng(3)
    shared = rng.normal(0, 10, 8)
    comparison = paired_difference(shared + 1 + rng.normal(0, 0.1, 8), shared)
    assert comparison.difference.mean == pytest.approx(1, abs=0.15)
    assert comparison.difference.standard_error < 0.1
    assert comparison.p_value == 2 / 2**8
    assert comparison.bootstrap[0] < comparison.difference.mean < comparison.bootstrap[1]


def test_pairs_of_different_length_are_refused():
    with pytest.raises(ValueError, match="equal lengths, but got 2 and 3"):
        paired_difference([1, 2], [1, 2, 3])


def test_holm_follows_the_step_down_rule_in_the_order_given():
    # 0.01 * 4, then max with 0.02 * 3, then 0.03 * 2 and 0.04 * 1 held up by monotonicity
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


@pytest.mark.parametrize("num_seeds", [4, 20])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_test_over_what_is_not_finite_is_refused(num_seeds: int, wrong: float) -> None:
    values = [wrong, *range(1, num_seeds)]
    with pytest.raises(ValueError, match=f"a difference is {wrong}"):
        sign_flip_p_value(values)
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="a difference is"):
        paired_difference(values, np.zeros(num_seeds))


@pytest.mark.parametrize("unit", [1e-300, 1e-14, 1.0, 1e14, 1e300])
def test_p_does_not_depend_on_the_unit_of_the_differences(unit: float) -> None:
    assert sign_flip_p_value(np.arange(1, 7) * unit) == 1 / 32
    with_ties = np.array([0.1, 0.2, 0.3, 0.3, -0.2, 0.1])
    assert sign_flip_p_value(with_ties * unit) == sign_flip_p_value(with_ties)


def test_differences_of_zero_are_no_evidence() -> None:
    assert sign_flip_p_value([0.0, 0.0, 0.0]) == 1.0


def test_the_test_of_thousands_of_differences_agrees_with_the_t_test() -> None:
    """Where flips come a bit each; their sum is all but normal."""
    differences = np.random.default_rng(1).normal(0.02, 1.0, 1500)
    expected = ttest_1samp(differences, 0).pvalue
    assert sign_flip_p_value(differences) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("n", [13, 500, 1000, 1001, 3000])
def test_looked_up_sums_of_random_signs_are_the_products_with_them(n):
    values = np.random.default_rng(n).normal(size=n)
    packed = statistics._signs(np.random.default_rng(7), 12, n)
    signs = np.unpackbits(packed, axis=1, count=n) * 2.0 - 1.0
    np.testing.assert_allclose(statistics._flipped_sums(values)(packed), signs @ values, rtol=1e-12)
    if n <= 1000:
        drawn = np.random.default_rng(7).integers(0, 2, (12, n)) * 2.0 - 1.0
    else:
        bits = np.random.default_rng(7).integers(0, 256, (12, -(-n // 8)), dtype=np.uint8)
        drawn = np.unpackbits(bits, axis=1, count=n) * 2.0 - 1.0
    np.testing.assert_array_equal(signs, drawn)


@pytest.mark.parametrize("n", [2, 8, 50, 2000])
def test_the_bootstrap_interval_is_that_of_scipy(n):
    values = np.random.default_rng(n).gamma(1.0, size=n)
    found = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=9999, rng=np.random.default_rng(3), method="BCa", batch=1000
    ).confidence_interval
    own = statistics.bootstrap_interval(values, seed=3)
    np.testing.assert_allclose(own, (found.low, found.high), rtol=1e-12)


def test_quantiles_and_tails_of_students_t_are_those_of_scipy():
    for freedom in (1, 2, 7.5, 30, 999):
        assert statistics.t_quantile(0.975, freedom) == scipy.stats.t.ppf(0.975, freedom)
        assert statistics.t_tail(1.3, freedom) == scipy.stats.t.sf(1.3, freedom)
