"""Statistics of a handful of seeds: means, intervals, paired differences, tests.

Everything here takes one number per seed (or per pair) and says how many there were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MOST_RESAMPLED = 10_000_000
"""Values that a bootstrap holds at once, 80 MB; more are drawn in parts, to the same numbers."""

EXACT_UP_TO = 12
"""Sign-flip tests enumerate all flips up to this many pairs."""


@dataclass(frozen=True)
class Summary:
    """Mean of ``n`` independent values, with its uncertainty."""

    n: int
    mean: float
    standard_error: float
    """NaN for a single value."""
    low: float
    """Lower end of the 95 % interval (Student's t); NaN for a single value."""
    high: float
    """Upper end of the 95 % interval."""


def summarize(values: ArrayLike, confidence: float = 0.95) -> Summary:
    """Mean, standard error and t interval of ``[n]`` values."""
    array = _flat(values)
    n, mean = len(array), float(array.mean())
    if n < 2:
        return Summary(n, mean, float("nan"), float("nan"), float("nan"))
    error = float(array.std(ddof=1) / np.sqrt(n))
    reach = t_quantile(0.5 + confidence / 2, n - 1) * error
    return Summary(n, mean, error, mean - reach, mean + reach)


def measured(mean: float, error: float | None, n: int) -> Summary:
    """A mean whose standard error and ``n`` are known, with its t interval."""
    if error is None or np.isnan(error) or n < 2:
        return Summary(n, mean, float("nan"), float("nan"), float("nan"))
    reach = t_quantile(0.975, n - 1) * error
    return Summary(n, mean, error, mean - reach, mean + reach)


@cache
def t_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t, what ``scipy.stats.t.ppf`` gives, which takes longer to load."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def t_tail(t: float, degrees: float) -> float:
    """Probability that Student's t exceeds ``t``: what ``scipy.stats.t.sf`` gives."""
    from scipy.special import stdtr

    return float(stdtr(degrees, -t))


def bootstrap_interval(
    values: ArrayLike, confidence: float = 0.95, num_resamples: int = 9999, seed: int = 0
) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of the mean (Efron 1987).

    NaN for fewer than two values; the value itself where all are equal.
    """
    array = _flat(values)
    if len(array) < 2:
        return float("nan"), float("nan")
    if np.ptp(array) == 0:
        return float(array[0]), float(array[0])
    from scipy.special import ndtr, ndtri

    rng, n = np.random.default_rng(seed), len(array)
    most = max(1, _MOST_RESAMPLED // n)
    sizes = [min(most, num_resamples - start) for start in range(0, num_resamples, most)]
    means = np.concatenate([array[rng.integers(0, n, (size, n))].mean(axis=1) for size in sizes])
    mean = array.mean()
    below = ((means < mean).sum() + (means <= mean).sum()) / (2 * num_resamples)
    # The mean without one value differs from the mean by its own deviation over n - 1.
    deviations = (array - mean) / np.ptp(array)  # of tiny ones the cubes would vanish
    acceleration = (deviations**3).sum() / (deviations**2).sum() ** 1.5 / 6
    shift = ndtri(below) + ndtri([0.5 - confidence / 2, 0.5 + confidence / 2])
    levels = ndtr(ndtri(below) + shift / (1 - acceleration * shift))
    if not np.isfinite(levels).all():
        return float("nan"), float("nan")
    low, high = np.percentile(means, 100 * levels)
    return float(low), float(high)


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t tests (TOST; Schuirmann 1987) of "the mean lies outside ± ``margin``"."""

    margin: float
    """Largest difference that counts as none; stated before the values are seen."""
    p_value: float
    """The larger p of the two; below 0.05 the mean is shown to lie within the margin."""

    @property
    def shown(self) -> bool:
        """Whether equivalence is shown at 5 %: the 90 % interval lies within the margin."""
        return self.p_value < 0.05


def equivalence(values: ArrayLike, margin: float) -> Equivalence:
    """Tests whether the mean of ``[n]`` differences lies within ± ``margin``; p 1 for n below 2."""
    summary = summarize(values)
    return _tost(summary.mean, summary.standard_error, summary.n - 1, margin)


def _tost(mean: float, error: float, freedom: float, margin: float) -> Equivalence:
    if not np.isfinite(error):
        return Equivalence(margin, 1.0)
    if error == 0:
        return Equivalence(margin, 0.0 if abs(mean) < margin else 1.0)
    return Equivalence(margin, t_tail((margin - abs(mean)) / error, freedom))


def unpaired_difference(a: ArrayLike, b: ArrayLike, margin: float) -> tuple[Summary, Equivalence]:
    """Mean of ``a`` minus mean of ``b`` with Welch's interval, and its equivalence test.

    ``n`` is that of the smaller sample; errors are NaN where one of them is a single value.
    """
    first, second = summarize(a), summarize(b)
    n, mean = min(first.n, second.n), first.mean - second.mean
    error = float(np.hypot(first.standard_error, second.standard_error))
    if n < 2 or error == 0:
        return Summary(n, mean, error, mean - error, mean + error), _tost(mean, error, 1, margin)
    parts = first.standard_error**4 / (first.n - 1) + second.standard_error**4 / (second.n - 1)
    freedom = error**4 / parts
    reach = t_quantile(0.975, freedom) * error
    return Summary(n, mean, error, mean - reach, mean + reach), _tost(mean, error, freedom, margin)


@dataclass(frozen=True)
class PairedDifference:
    """Mean of paired differences a - b, with a sign-flip permutation test of "no difference"."""

    difference: Summary
    bootstrap: tuple[float, float]
    """95 % bootstrap interval of the mean difference."""
    p_value: float
    """Two-sided; its smallest possible value is 2 ** (1 - n)."""


def paired_difference(a: ArrayLike, b: ArrayLike, seed: int = 0) -> PairedDifference:
    """Compares two measurements of the same units, ``[n]`` each in the same order.

    Raises:
        ValueError: the lengths differ, or a difference is not finite.
    """
    first, second = _flat(a), _flat(b)
    if len(first) != len(second):
        raise ValueError(f"pairs need equal lengths, but got {len(first)} and {len(second)}")
    differences = first - second
    p_value = sign_flip_p_value(differences, seed)
    return PairedDifference(
        difference=summarize(differences),
        bootstrap=bootstrap_interval(differences, seed=seed),
        p_value=p_value,
    )


def sign_flip_p_value(differences: ArrayLike, seed: int = 0, num_flips: int = 99_999) -> float:
    """Two-sided permutation p of "the mean is 0" under random signs.

    Exact up to 12 differences, else from random flips with the observed one counted in.

    Raises:
        ValueError: a difference is not finite: no flip would exceed it, so p would be the smallest.
    """
    array = _flat(differences)
    if not np.isfinite(array).all():
        wrong = array[~np.isfinite(array)][0]
        raise ValueError(f"a test needs finite numbers, but a difference is {wrong}")
    observed = abs(array.mean())
    slack = 1e-12 * float(np.abs(array).max())  # a flip's sum rounds otherwise than the mean
    if len(array) <= EXACT_UP_TO:
        signs = np.array(list(product((1.0, -1.0), repeat=len(array))))
        return float((np.abs(signs @ array) / len(array) >= observed - slack).mean())
    rng = np.random.default_rng(seed)
    extreme = 1
    part = _part(len(array))
    rows = part * max(1, 10_000 // part)
    sums = _flipped_sums(array)
    for start in range(0, num_flips, rows):
        signs = _signs(rng, min(rows, num_flips - start), len(array))
        extreme += int((np.abs(sums(signs)) / len(array) >= observed - slack).sum())
    return extreme / (num_flips + 1)


def _signs(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.uint8]:
    """Random signs, a bit each, ``[rows, ceil(columns / 8)]``.

    Up to 1,000 columns a sign is the bit that ``rng.integers(0, 2, (rows, columns))`` gives: the
    highest of every 32 that the generator draws.
    """
    if columns > 1000:
        part, num_bytes = _part(columns), -(-columns // 8)
        sizes = [min(part, rows - start) for start in range(0, rows, part)]
        drawn = [rng.bytes(size * num_bytes) for size in sizes]
        return np.frombuffer(b"".join(drawn), np.uint8).reshape(rows, num_bytes)
    number = rows * columns
    words = rng.bit_generator.random_raw(-(-number // 2)).astype("<u8").view("<u4")[:number]
    return np.packbits((words >> 31).astype(np.uint8).reshape(rows, columns), axis=1)


def _part(columns: int) -> int:
    """Rows of signs that are drawn at once: what is drawn hangs on it."""
    return 10_000 if columns <= 1000 else max(1, 4_000_000 // columns)


def _flipped_sums(
    values: NDArray[np.float64],
) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    """Sums of values under signs as :func:`_signs` gives them.

    Those of every eight values are looked up by their byte of signs, ten times faster than a
    product with signs that are written out.
    """
    num_bytes = -(-len(values) // 8)
    padded = np.zeros(8 * num_bytes)
    padded[: len(values)] = values
    of_byte = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1) * 2.0 - 1.0
    table = of_byte @ padded.reshape(num_bytes, 8).T  # [256, bytes]

    def sums(signs: NDArray[np.uint8]) -> NDArray[np.float64]:
        total = np.zeros(len(signs))
        for column, own in zip(np.ascontiguousarray(signs.T), table.T, strict=True):
            total += own[column]
        return total

    return sums


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for many comparisons (Holm 1979), in the order given."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return [float(p) for p in adjusted]


def _flat(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, float).ravel()
    if not len(array):
        raise ValueError("statistics need at least one value, but got none")
    return array
