"""Where difficulty equals a target: a Gaussian process over log-alphas and its level set.

Points are ``[n, 2]`` arrays of (alpha_X, alpha_Z); inside, both are mapped to the unit square by
their logarithms, where difficulty varies smoothly.

Measurements made on the same kernel draws share errors where their alphas are near: the same seed
then draws kernels that are alike. Over pairs of places on and around the contours of the shipped
graphs the correlation of their draws' difficulty is 0.1 to 1 within 0.3 log units of alpha (1 where
only the alpha of nearly deterministic nodes moves), 0.1 to 0.7 at 1, and none beyond 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import contourpy
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from lrray.difficulty.bounds import Bounds as Bounds
from lrray.difficulty.bounds import Points
from lrray.difficulty.gaussian_process import GaussianProcess, Parameters, Scaled, learned

_SETTLED_AT = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Numbers of first measurements that the process's parameters are learned from, where there are
more than the first of these: learning takes O(n**3)."""

_CANDIDATES = 2048

_NEAR = 0.1
"""Distance in the unit square over which standard errors are pooled."""

SHARED = 0.5
"""Correlation of the errors of two measurements on the same draws, at places side by side."""

SHARED_OVER = 1.0
"""Distance in natural-log units of alpha over which it falls, as ``exp(-d**2 / 2)``."""


@dataclass(frozen=True)
class Contour:
    """One connected piece of the level set, ends included."""

    points: Points
    """``[n, 2]`` (alpha_X, alpha_Z) along the line."""
    half_width: NDArray[np.float64]
    """``[n]``: half the 95 % band across the line, in natural log units of alpha.

    For the mean over all kernel draws: what neighbouring points share, being measured on the same
    draws, does not average out over them.
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
        self._settled: dict[int, tuple[bytes, Parameters]] = {}

    def fit(
        self,
        points: Points,
        values: NDArray[np.float64],
        errors: NDArray[np.float64],
        draws: NDArray[np.int64] | None = None,
    ) -> None:
        """Conditions on measurements.

        Standard errors are pooled over neighbours first (:func:`pooled_errors`).

        Args:
            points: ``[n, 2]``.
            values: ``[n]``.
            errors: ``[n]`` standard errors; NaN: unknown, the scatter tells it.
            draws: ``[n]`` numbers; measurements on the same kernel draws have the same one.
                Default: all have.

        Cost: O(n**3), a few milliseconds at 32.
        """
        self.num_points = len(values)
        unit = self.bounds.to_unit(points)
        pooled = pooled_errors(unit, np.where(np.isfinite(errors), errors, 0.0))
        same = np.ones((len(values), len(values)), bool)
        if draws is not None:
            same = draws[:, None] == draws[None]
        noise = np.outer(pooled, pooled) * np.where(same, self._shared(unit), 0.0)
        noise[np.diag_indices_from(noise)] = pooled**2
        parameters = self._parameters(unit, values, noise)
        self._process = GaussianProcess(Scaled.of(unit, values, noise), parameters)
        # What these draws' own mean is, other draws aside: all that further trials can tell.
        own = np.diag((1 - SHARED) * pooled**2)
        self._of_draws = GaussianProcess(Scaled.of(unit, values, own), parameters)

    def _shared(self, unit: Points) -> NDArray[np.float64]:
        """Correlation ``[n, n]`` of errors on the same draws."""
        apart = (unit[:, None] - unit[None]) * self.bounds.span
        shared: NDArray[np.float64] = SHARED * np.exp(
            -0.5 * (apart**2).sum(axis=2) / SHARED_OVER**2
        )
        return shared

    def _parameters(
        self, unit: Points, values: NDArray[np.float64], noise: NDArray[np.float64]
    ) -> Parameters:
        """Parameters learned from the first measurements; of many, learned once."""
        count = len(values)
        if count <= _SETTLED_AT[0]:
            return learned(Scaled.of(unit, values, noise))
        count = max(size for size in _SETTLED_AT if size <= count)
        data = Scaled.of(unit[:count], values[:count], noise[:count, :count])
        key = unit[:count].tobytes() + values[:count].tobytes()
        if count not in self._settled or self._settled[count][0] != key:
            self._settled[count] = key, learned(data)
        return self._settled[count][1]

    def posterior(self, points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of the difficulty at ``points``, each ``[n]``."""
        return self._process.posterior(self.bounds.to_unit(points))

    def next_point(self, running: Points, rng: np.random.Generator) -> Points:
        """The randomised straddle's next (alpha_X, alpha_Z) (arXiv 2408.03144).

        Maximises ``sqrt(chi2_2) * deviation - |mean - target|`` over a fresh low-discrepancy
        set that also covers the edges, where contours end. Trials still ``running`` count as
        measured at their posterior mean. The deviation is that of these draws' own mean: what
        their number leaves open, no further trial on them can tell.
        """
        candidates = _candidates(rng)
        process = self._of_draws
        if len(running):
            process = process.believing(self.bounds.to_unit(running))
        mean, deviation = process.posterior(candidates)
        width = np.sqrt(rng.chisquare(2))
        best = int(np.argmax(width * deviation - np.abs(mean - self.target)))
        return self.bounds.from_unit(candidates[best])

    def surface(self, size: int = 81) -> tuple[Points, Points, Points, Points]:
        """Grid axes alpha_X ``[size]`` and alpha_Z ``[size]``, mean and deviation ``[Z, X]``.

        The band of the contour is where the mean lies within 1.96 deviations of the target.
        """
        axis = np.linspace(0, 1, size)
        grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        mean, deviation = self._process.posterior(grid)
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
        slope = np.zeros((len(line), 2))
        for axis in range(2):
            shift = np.eye(2)[axis] * step
            ahead, behind = self._process.mean(unit + shift), self._process.mean(unit - shift)
            slope[:, axis] = (ahead - behind) / (2 * step * self.bounds.span[axis])
        deviation = self._process.posterior(unit)[1]
        return 1.96 * deviation / np.maximum(np.linalg.norm(slope, axis=1), 1e-12)

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
        miss = self._process.mean(line) - self.target
        crossings = np.flatnonzero(np.signbit(miss[:-1]) != np.signbit(miss[1:]))
        if not len(crossings):
            return None

        def missed(at: float) -> float:
            unit[axis] = at
            return float(self._process.mean(unit[None])[0]) - self.target

        start = float(unit[axis])
        left = min(crossings, key=lambda i: abs(steps[i] - start))
        unit[axis] = brentq(missed, steps[left], steps[left + 1], xtol=1e-6)
        return self.bounds.from_unit(unit[None])[0]


def pooled_errors(unit: Points, errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard errors ``[n]``, each the root mean square of those near it.

    An outlier among a trial's draws moves its mean and inflates its own standard error at once, so
    that weights of single trials' errors favour those without one, which biases the surface. The
    spread of draws itself changes smoothly with the alphas.
    """
    squared = ((unit[:, None] - unit[None]) ** 2).sum(axis=2)
    weight = np.exp(-squared / (2 * _NEAR**2)) * (errors > 0)
    total = np.maximum(weight.sum(axis=1), 1e-300)
    pooled: NDArray[np.float64] = np.sqrt(weight @ errors**2 / total)
    return np.where(errors > 0, pooled, 0.0)


def startup_points(bounds: Bounds, num_points: int, seed: int) -> Points:
    """The first points of a search: evenly spread, from a random start, ``[num_points, 2]``."""
    return bounds.from_unit(_spread(num_points, np.random.default_rng(seed)))


def _spread(count: int, rng: np.random.Generator) -> Points:
    """Low-discrepancy points of the unit square, ``[count, 2]``.

    Multiples of (1/g, 1/g**2) modulo 1, from a random start, with g = 1.3247 the root of
    ``g**3 = g + 1`` (Roberts 2018, "The unreasonable effectiveness of quasirandom sequences").
    """
    root = 1.32471795724474602596
    steps = np.arange(count)[:, None] / np.array([root, root**2])
    points: Points = (rng.random(2) + steps) % 1.0
    return points


def _candidates(rng: np.random.Generator) -> Points:
    """Low-discrepancy points of the unit square and of its four edges, ``[n, 2]``."""
    inside = _spread(_CANDIDATES, rng)
    along = (np.arange(_CANDIDATES // 16) + rng.random()) / (_CANDIDATES // 16)
    ends = np.zeros_like(along)
    edges = [(ends, along), (ends + 1, along), (along, ends), (along, ends + 1)]
    return np.vstack([inside, *(np.stack(edge, axis=1) for edge in edges)])
