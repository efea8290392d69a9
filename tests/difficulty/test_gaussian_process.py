"""The Gaussian process against its closed form and against finite differences."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from lrray.difficulty.gaussian_process import (
    GaussianProcess,
    Parameters,
    Scaled,
    _loss_and_slope,
    learned,
)

PARAMETERS = Parameters(1.3, (0.3, 0.7), 0.01)


def measured(count, seed=0, correlated=0.5):
    """Places, values and the covariance of errors that neighbours share."""
    rng = np.random.default_rng(seed)
    unit = rng.random((count, 2))
    squared = ((unit[:, None] - unit[None]) ** 2).sum(axis=2)
    noise = 0.01 * (correlated * np.exp(-squared / 0.05) + (1 - correlated) * np.eye(count))
    values = np.sin(4 * unit[:, 0]) + unit[:, 1]
    return Scaled.of(unit, values + rng.multivariate_normal(np.zeros(count), noise), noise)


def matern(one, other):
    apart = np.sqrt(5 * (((one - other) / PARAMETERS.lengths) ** 2).sum())
    return PARAMETERS.variance * (1 + apart + apart**2 / 3) * np.exp(-apart)


def covariance(one, other):
    return np.array([[matern(a, b) for b in other] for a in one])


def test_mean_and_deviation_are_those_of_the_conditioned_normal_law():
    data = measured(12)
    places = np.random.default_rng(9).random((5, 2))
    total = covariance(data.unit, data.unit) + data.noise + 0.01 * np.eye(12)
    across = covariance(places, data.unit)
    mean = across @ np.linalg.solve(total, data.values)
    left = covariance(places, places) - across @ np.linalg.solve(total, across.T)
    process = GaussianProcess(data, PARAMETERS)
    found, deviation = process.posterior(places)
    np.testing.assert_allclose(found, mean * data.scale + data.mean, rtol=1e-5)
    np.testing.assert_allclose(deviation, np.sqrt(np.diag(left)) * data.scale, rtol=1e-4)
    np.testing.assert_allclose(process.mean(places), found)


def test_the_loss_is_minus_the_log_density_and_its_slope_that_of_the_loss():
    data = measured(10)
    squared = (data.unit[:, None] - data.unit[None]) ** 2
    logs = np.log([PARAMETERS.variance, *PARAMETERS.lengths, PARAMETERS.white])
    loss, slope = _loss_and_slope(logs, data, squared)
    total = covariance(data.unit, data.unit) + data.noise + (0.01 + 1e-8) * np.eye(10)
    density = multivariate_normal(np.zeros(10), total).logpdf(data.values)
    assert loss == pytest.approx(-density - 5 * np.log(2 * np.pi))
    for i in range(4):
        step = 1e-5 * np.eye(4)[i]
        ahead, behind = (_loss_and_slope(logs + s, data, squared)[0] for s in (step, -step))
        assert slope[i] == pytest.approx((ahead - behind) / 2e-5, rel=1e-4, abs=1e-6)


def test_learned_parameters_are_likelier_than_others():
    data = measured(30)
    squared = (data.unit[:, None] - data.unit[None]) ** 2

    def loss(parameters):
        logs = np.log([parameters.variance, *parameters.lengths, parameters.white])
        return _loss_and_slope(logs, data, squared)[0]

    best = learned(data)
    assert loss(best) < loss(PARAMETERS)
    for factor in (0.8, 1.25):
        assert loss(best) <= loss(Parameters(best.variance * factor, best.lengths, best.white))


def test_what_is_believed_changes_no_mean_and_leaves_nothing_open_there():
    process = GaussianProcess(measured(12), PARAMETERS)
    place = np.array([[0.4, 0.9]])
    believing = process.believing(place)
    grid = np.random.default_rng(2).random((6, 2))
    np.testing.assert_allclose(believing.mean(grid), process.mean(grid), rtol=1e-3)
    assert believing.posterior(place)[1][0] < 0.5 * process.posterior(place)[1][0]


def test_errors_that_neighbours_share_do_not_average_out():
    def deviation(correlated):
        rng = np.random.default_rng(0)
        unit = 0.5 + 0.01 * rng.random((16, 2))
        noise = 0.04 * (correlated * np.ones((16, 16)) + (1 - correlated) * np.eye(16))
        data = Scaled(unit, np.zeros(16), noise, 0.0, 1.0)
        return GaussianProcess(data, PARAMETERS).posterior(unit[:1])[1][0]

    assert deviation(0.0) == pytest.approx(0.2 / 4, rel=0.25)
    assert deviation(0.9) == pytest.approx(0.2 * np.sqrt(0.9 + 0.1 / 16), rel=0.15)
