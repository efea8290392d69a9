"""A Gaussian process over the unit square whose measurements' errors may be correlated.

Values are a surface with a Matern covariance (nu = 5/2, a length for either axis), plus errors of a
given covariance, plus white noise of a variance that is learned, like the surface's parameters, by
maximum likelihood (Rasmussen and Williams 2006, sections 2.2 and 5.4).

Axis letters: n measurement, m place asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]

_START = (1.0, 0.4, 0.4, 1e-3)
"""Variance of the surface, its two lengths, variance of the white noise: values have variance 1."""

_LIMITS = ((0.05, 50.0), (0.05, 5.0), (0.05, 5.0), (1e-6, 0.1))

_JITTER = 1e-8


@dataclass(frozen=True)
class Parameters:
    """What is learned, for values that are scaled to variance 1."""

    variance: float
    lengths: tuple[float, float]
    white: float

    @classmethod
    def from_logs(cls, logs: Array) -> Parameters:
        """From the logarithms of the four numbers."""
        variance, x, z, white = (float(value) for value in np.exp(logs))
        return cls(variance, (x, z), white)


@dataclass(frozen=True)
class Scaled:
    """Measurements scaled to mean 0 and variance 1."""

    unit: Array
    """``[n, 2]``."""
    values: Array
    """``[n]``."""
    noise: Array
    """``[n, n]`` covariance of the errors."""
    mean: float
    scale: float

    @classmethod
    def of(cls, unit: Array, values: Array, noise: Array) -> Scaled:
        """Scales values ``[n]`` and the covariance ``[n, n]`` of their errors."""
        mean, scale = float(values.mean()), float(values.std()) or 1.0
        return cls(unit, (values - mean) / scale, noise / scale**2, mean, scale)


def learned(data: Scaled) -> Parameters:
    """Parameters of the greatest likelihood, from one start.

    Cost: O(n**3) a step, some 20 steps.
    """
    squared = (data.unit[:, None] - data.unit[None]) ** 2  # [n, n, 2]

    def loss(logs: Array) -> tuple[float, Array]:
        return _loss_and_slope(logs, data, squared)

    limits = [(np.log(low), np.log(high)) for low, high in _LIMITS]
    best = minimize(loss, np.log(_START), jac=True, method="L-BFGS-B", bounds=limits)
    return Parameters.from_logs(best.x)


def _loss_and_slope(logs: Array, data: Scaled, squared: Array) -> tuple[float, Array]:
    """Minus the log likelihood, a constant left out, and its slope in the logarithms ``[4]``."""
    parameters = Parameters.from_logs(logs)
    scaled = squared / np.square(parameters.lengths)
    root = np.sqrt(5 * scaled.sum(axis=2))
    decay = parameters.variance * np.exp(-root)
    surface = decay * (1 + root + root**2 / 3)
    total = surface + data.noise
    total[np.diag_indices_from(total)] += parameters.white + _JITTER
    try:
        factor = cho_factor(total, lower=True)
    except np.linalg.LinAlgError:
        return np.inf, np.zeros(4)
    weights = cho_solve(factor, data.values)
    loss = 0.5 * data.values @ weights + np.log(np.diag(factor[0])).sum()
    inner = cho_solve(factor, np.eye(len(weights))) - np.outer(weights, weights)
    by_length = (5 / 3) * (decay * (1 + root))[..., None] * scaled
    slope = [
        (inner * surface).sum(),
        *(inner[..., None] * by_length).sum(axis=(0, 1)),
        parameters.white * np.trace(inner),
    ]
    return float(loss), 0.5 * np.array(slope)


class GaussianProcess:
    """The process given measurements.

    Args:
        data: the measurements.
        parameters: of surface and white noise.
    """

    def __init__(self, data: Scaled, parameters: Parameters) -> None:
        self.data, self.parameters = data, parameters
        total = self._surface(data.unit, data.unit) + data.noise
        total[np.diag_indices_from(total)] += parameters.white + _JITTER
        self._factor = cho_factor(total, lower=True)
        self._weights = cho_solve(self._factor, data.values)

    def mean(self, unit: Array) -> Array:
        """Mean of the surface at ``[m, 2]``, as ``[m]``."""
        across = self._surface(unit, self.data.unit)
        mean: Array = across @ self._weights * self.data.scale + self.data.mean
        return mean

    def posterior(self, unit: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the surface, errors left out, each ``[m]``."""
        across = self._surface(unit, self.data.unit)
        known = solve_triangular(self._factor[0], across.T, lower=True)
        variance = np.maximum(self.parameters.variance - (known**2).sum(axis=0), 0.0)
        mean = across @ self._weights * self.data.scale + self.data.mean
        return mean, np.sqrt(variance) * self.data.scale

    def believing(self, unit: Array) -> GaussianProcess:
        """The process as if its mean had been measured at ``[m, 2]``, without an error."""
        believed = self._surface(unit, self.data.unit) @ self._weights
        old, new = len(self.data.values), len(unit)
        noise = np.zeros((old + new, old + new))
        noise[:old, :old] = self.data.noise
        values = np.append(self.data.values, believed)
        places = np.vstack([self.data.unit, unit])
        data = Scaled(places, values, noise, self.data.mean, self.data.scale)
        return GaussianProcess(data, self.parameters)

    def _surface(self, one: Array, other: Array) -> Array:
        """Covariance of the surface ``[n, m]`` between two sets of places."""
        apart = (one[:, None] - other[None]) / np.array(self.parameters.lengths)
        root = np.sqrt(5 * (apart**2).sum(axis=2))
        covariance: Array = self.parameters.variance * (1 + root + root**2 / 3) * np.exp(-root)
        return covariance
