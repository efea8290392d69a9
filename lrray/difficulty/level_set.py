"""Where difficulty equals a target: a Gaussian process over log-alphas and its level set.

Points are ``[n, 2]`` arrays of (alpha_X, alpha_Z); inside, both are mapped to the unit square by
their logarithms, where difficulty varies smoothly.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import contourpy
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chi2, qmc
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern, WhiteKernel

from lrray.difficulty.bounds import Bounds as Bounds
from lrray.difficulty.bounds import Points

_REFIT_AT = (6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 192, 256)
"""Numbers of measurements at which the kernel's parameters are fitted anew."""

_CANDIDATES = 2048

_NEAR = 0.1
"""Distance in the unit square over which measurements tell a place's standard error."""


@dataclass(frozen=True)
class Contour:
    """One connected piece of the level set, ends included."""

    points: Points
    """``[n, 2]`` (alpha_X, alpha_Z) along the line."""
    half_width: NDArray[np.float64]
    """``[n]``: half the 95 % band across the line, in natural log units of alpha.

    For the mean over kernel draws: all points are measured on the same draws, whose own deviation
    does not average out over points. How much of an error the points share is not known; the band
    takes it to be all, so it is somewhat too wide where it is less.
    """

    @property
    def closed(self) -> bool:
        """Whether the piece returns to where it began instead of running from edge to edge."""
        return len(self.points) > 2 and bool((self.points[0] == self.points[-1]).all())

    @property
    def length(self) -> float:
        """Length in natural log units of alpha."""
        return float(self._along()[-1])

    def end(self, axis: int) -> Points:
        """The point of the smallest alpha along ``axis``, which a closed piece has too."""
        order = np.lexsort((self.points[:, 1 - axis], self.points[:, axis]))
        end: Points = self.points[order[0]]
        return end

    def between(self, num_points: int) -> Points:
        """``[num_points, 2]``: points that cut the piece into stretches of equal length."""
        along, logs = self._along(), np.log(self.points)
        at = np.linspace(0, along[-1], num_points + 2)[1:-1]
        return np.exp(np.stack([np.interp(at, along, logs[:, axis]) for axis in range(2)], axis=1))

    def _along(self) -> NDArray[np.float64]:
        steps = np.linalg.norm(np.diff(np.log(self.points), axis=0), axis=1)
        return np.append(0, np.cumsum(steps))


class LevelSet:
    """The Gaussian-process picture of difficulty, and the set where it equals ``target``.

    Args:
        bounds: the searched rectangle.
        target: the difficulty to find.
    """

    def __init__(self, bounds: Bounds, target: float) -> None:
        self.bounds, self.target = bounds, target
        self.num_points = 0
        self._kernel: Kernel | None = None
        self._refits = 0

    def fit(self, points: Points, values: NDArray[np.float64], errors: NDArray[np.float64]) -> None:
        """Conditions on measurements ``[n]`` with standard errors ``[n]`` (NaN: unknown).

        Cost: O(n**3), a few milliseconds; up to about 0.2 s where kernel parameters are refitted.
        """
        self.num_points = len(values)
        self._unit, self._values = self.bounds.to_unit(points), values
        self._noise = np.where(np.isfinite(errors), errors, 0.0)
        self._mean, self._scale = float(values.mean()), float(values.std()) or 1.0
        due = sum(1 for size in _REFIT_AT if size <= self.num_points)
        refit = self._kernel is None or due > self._refits
        self._refits = due
        self._process = self._regressor(self._kernel or _default_kernel(), refit)
        with warnings.catch_warnings():
            # A kernel parameter at its bound only says that one axis is nearly flat.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._process.fit(self._unit, (values - self._mean) / self._scale)
        self._kernel = self._process.kernel_

    def _regressor(self, kernel: Kernel, refit: bool) -> GaussianProcessRegressor:
        return GaussianProcessRegressor(
            kernel,
            alpha=(self._noise / self._scale) ** 2 + 1e-8,
            optimizer="fmin_l_bfgs_b" if refit else None,
        )

    def posterior(self, points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of the difficulty at ``points``, each ``[n]``."""
        return self._posterior_unit(self.bounds.to_unit(points), self._process)

    def _posterior_unit(
        self, unit: Points, process: GaussianProcessRegressor
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mean, deviation = process.predict(unit, return_std=True)
        # The white-noise part belongs to single measurements, not to the surface.
        variance = np.maximum(deviation**2 - process.kernel_.k2.noise_level, 0.0)
        return mean * self._scale + self._mean, np.sqrt(variance) * self._scale

    def next_point(self, running: Points, rng: np.random.Generator) -> Points:
        """The randomised straddle's next (alpha_X, alpha_Z) (arXiv 2408.03144).

        Maximises ``sqrt(chi2_2) * deviation - |mean - target|`` over a fresh low-discrepancy
        set that also covers the edges, where contours end. Trials still ``running`` count as
        measured at their posterior mean.
        """
        candidates = _candidates(rng)
        process = self._process
        if len(running):
            unit = self.bounds.to_unit(running)
            believed = process.predict(unit)
            process = self._regressor(self._process.kernel_, refit=False)
            process.alpha = np.append(process.alpha, np.full(len(unit), 1e-8))
            process.fit(
                np.vstack([self._unit, unit]),
                np.append((self._values - self._mean) / self._scale, believed),
            )
        mean, deviation = self._posterior_unit(candidates, process)
        width = np.sqrt(chi2.rvs(2, random_state=rng))
        best = int(np.argmax(width * deviation - np.abs(mean - self.target)))
        return self.bounds.from_unit(candidates[best])

    def surface(self, size: int = 81) -> tuple[Points, Points, Points, Points]:
        """Grid axes alpha_X ``[size]`` and alpha_Z ``[size]``, mean and deviation ``[Z, X]``.

        The deviation is that of :attr:`Contour.half_width`, the shared error included: the band of
        the contour is where the mean lies within 1.96 deviations of the target.
        """
        axis = np.linspace(0, 1, size)
        grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        mean, own = self._posterior_unit(grid, self._process)
        deviation = np.hypot(own, self._shared_error(grid))
        alphas = self.bounds.from_unit(np.stack([axis, axis], axis=1))
        return alphas[:, 0], alphas[:, 1], mean.reshape(size, size), deviation.reshape(size, size)

    def contours(self) -> list[Contour]:
        """The pieces of the level set of the posterior mean, longest first; none if not met."""
        alpha_x, alpha_z, mean, _ = self.surface()
        lines = contourpy.contour_generator(np.log(alpha_x), np.log(alpha_z), mean).lines(
            self.target
        )
        pieces = [
            np.clip(np.exp(np.asarray(line)), self.bounds.low, self.bounds.high) for line in lines
        ]
        found = [Contour(line, self._half_width(line)) for line in pieces if len(line) > 1]
        return sorted(found, key=lambda piece: -piece.length)

    def _half_width(self, line: Points) -> NDArray[np.float64]:
        step = 1e-2
        unit = self.bounds.to_unit(line)
        span = np.log(self.bounds.high) - np.log(self.bounds.low)
        slope = np.zeros((len(line), 2))
        for axis in range(2):
            shift = np.eye(2)[axis] * step
            ahead = self._posterior_unit(unit + shift, self._process)[0]
            behind = self._posterior_unit(unit - shift, self._process)[0]
            slope[:, axis] = (ahead - behind) / (2 * step * span[axis])
        own = self._posterior_unit(unit, self._process)[1]
        deviation = np.hypot(own, self._shared_error(unit))
        return 1.96 * deviation / np.maximum(np.linalg.norm(slope, axis=1), 1e-12)

    def _shared_error(self, unit: Points) -> NDArray[np.float64]:
        """Standard errors of the measurements near ``unit``, weighted by distance; ``[n]``."""
        squared = ((unit[:, None] - self._unit) ** 2).sum(axis=2)
        weight = np.exp((squared.min(axis=1, keepdims=True) - squared) / (2 * _NEAR**2))
        near: NDArray[np.float64] = weight @ self._noise / weight.sum(axis=1)
        return near

    def solve(self, point: Points, axis: int) -> Points | None:
        """Moves one alpha of ``point`` (axis 0: alpha_X, 1: alpha_Z) onto the level set.

        Returns:
            The point, or None where the line does not meet the level set. Of several crossings
            the one nearest to ``point`` is taken.
        """
        unit = self.bounds.to_unit(np.asarray(point, float)[None])[0]
        steps = np.linspace(0, 1, 201)
        line = np.repeat(unit[None], len(steps), axis=0)
        line[:, axis] = steps
        miss = self._posterior_unit(line, self._process)[0] - self.target
        crossings = np.flatnonzero(np.signbit(miss[:-1]) != np.signbit(miss[1:]))
        if not len(crossings):
            return None

        def missed(at: float) -> float:
            unit[axis] = at
            mean, _ = self._posterior_unit(unit[None], self._process)
            return float(mean[0]) - self.target

        start = float(unit[axis])
        left = min(crossings, key=lambda i: abs(steps[i] - start))
        unit[axis] = brentq(missed, steps[left], steps[left + 1], xtol=1e-6)
        return self.bounds.from_unit(unit[None])[0]


def startup_points(bounds: Bounds, num_points: int, seed: int) -> Points:
    """The first points of a search: a scrambled Sobol sequence, ``[num_points, 2]``."""
    with warnings.catch_warnings():
        # Balance at powers of two does not matter for a start.
        warnings.simplefilter("ignore", UserWarning)
        return bounds.from_unit(qmc.Sobol(2, rng=np.random.default_rng(seed)).random(num_points))


def _candidates(rng: np.random.Generator) -> Points:
    """Low-discrepancy points of the unit square and of its four edges, ``[n, 2]``."""
    inside = qmc.Sobol(2, rng=rng).random(_CANDIDATES)
    along = (np.arange(_CANDIDATES // 16) + rng.random()) / (_CANDIDATES // 16)
    ends = np.zeros_like(along)
    edges = [(ends, along), (ends + 1, along), (along, ends), (along, ends + 1)]
    return np.vstack([inside, *(np.stack(edge, axis=1) for edge in edges)])


def _default_kernel() -> Kernel:
    surface = ConstantKernel(1.0, (0.05, 50)) * Matern([0.4, 0.4], (0.05, 5), nu=2.5)
    return surface + WhiteKernel(1e-3, (1e-6, 0.1))
