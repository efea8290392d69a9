"""Matched pairs: points on the contour, measured again on fresh draws and moved until they fit."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrray.gssm import GraphConfig
from lrray.kinds.difficulty.settings import DifficultyStudy, Purpose
from lrray.kinds.pairs import FoundPair
from lrray.statistics import summarize

if TYPE_CHECKING:  # with SciPy, which a plan need not wait for
    from lrray.difficulty.level_set import Contour, LevelSet

FRESH_START = 1_000_000
"""Index of the first fresh sequence where a seed's own graph is measured again."""

MIN_APART = 0.1
"""Least distance of a pair's ends, in sides of the searched rectangle of log alphas."""

NUM_TRIES = 12
"""Alphas tried around the contour for each seed's own graph: near-by alphas draw other kernels."""


@dataclass(frozen=True)
class Request:
    """A measurement to make: alphas, kernel draws, where in the stream to begin, and what for."""

    alphas: tuple[float, float]
    seeds: tuple[int, ...]
    start: int = 0
    purpose: Purpose = "pair"


Measured = dict[str, NDArray[np.float64]]
"""Measure name -> ``[seeds]``."""
Matching = Generator[list[Request], list[Measured], None]
"""Yields what to measure next and is sent the results, in the same order."""


@dataclass
class Pair:
    """One matched (alpha_X, alpha_Z) and how it was checked."""

    name: str
    alphas: tuple[float, float]
    axis: int
    """Which alpha is moved onto the contour; the other one stays."""
    seed: int | None = None
    """The kernel draw it belongs to, or None where it matches the mean over draws."""
    for_seed: int | None = None
    """The seed of the cells that train on this draw (``match: per_draw``)."""
    measured: Measured = field(default_factory=dict, repr=False)
    rounds: int = 0

    def value(self, metric: str) -> float:
        """Mean of the last measurement."""
        return float(self.measured[metric].mean())

    def standard_error(self, metric: str) -> float:
        """Standard error over seeds; NaN for a single draw."""
        return summarize(self.measured[metric]).standard_error

    def within(self, study: DifficultyStudy) -> bool:
        """Whether the last measurement meets the target; of an accepted draw it does."""
        if self.for_seed is not None:
            return True
        miss = abs(self.value(study.target.metric) - study.target.value)
        error = self.standard_error(study.target.metric)
        return miss <= study.target.tolerance and not error > study.target.tolerance

    def found(
        self,
        study: DifficultyStudy,
        axes: Mapping[str, Any],
        search: str,
        graph: GraphConfig | None = None,
    ) -> FoundPair:
        """The pair as it was last measured.

        Args:
            study: that looked for it.
            axes: of its grid point.
            search: name of the search whose contour it lies on.
            graph: where pairs of one file differ in theirs.
        """
        metric = study.target.metric
        measured = {
            name: (self.value(name), _none_if_nan(self.standard_error(name)))
            for name in self.measured
        }
        num_seeds = len(self.measured[metric])
        counts = {name: len(values) for name, values in self.measured.items()}
        return FoundPair(
            counts={name: count for name, count in counts.items() if count != num_seeds},
            name=self.name, alpha_X=self.alphas[0], alpha_Z=self.alphas[1], seed=self.seed,
            for_seed=self.for_seed, graph=graph, axes=dict(axes), difficulty=measured[metric][0],
            difficulty_se=measured[metric][1], measured=measured,
            num_seeds=num_seeds, within_tolerance=self.within(study),
            search=search, target=study.target.model_dump(),
        )  # fmt: skip


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else value


@dataclass(frozen=True)
class Proposal:
    """Pairs where the contour says they lie, and what its shape means for them."""

    pairs: list[Pair]
    note: str = ""
    """What the contour "has" or "is", where it is not one line from edge to edge with a pair."""


def propose(level_set: LevelSet, along: int, seed: int | None) -> Proposal:
    """Pairs at two ends of the contour's longest piece, and at ``along`` points between.

    All lie on one piece, so that one can walk from each to the next at equal difficulty. Ends that
    nearly coincide are no pair: what is compared at them would be the same.
    """
    pieces = level_set.contours()
    if not pieces:
        return Proposal([])
    shape, longest = _shape(pieces), pieces[0]
    ends = np.stack([longest.end(0), longest.end(1)])
    if np.linalg.norm(np.diff(level_set.bounds.to_unit(ends), axis=0)) < MIN_APART:
        factor = float(np.exp(np.abs(np.diff(np.log(ends), axis=0)).max()))
        refusal = f"ends that nearly coincide (alphas differ by a factor of {factor:.3g})"
        return Proposal([], f"{shape} and has {refusal}" if shape else f"has {refusal}")
    low = np.array(level_set.bounds.low)
    pairs = []
    for name, axis in (("easy_to_infer", 0), ("easy_to_predict", 1)):
        end = longest.end(axis)
        at_edge = end[axis] <= low[axis] * 1.01
        if at_edge:
            end = end.copy()
            end[axis] = low[axis]
        # Along the edge the other alpha is moved; at a turning point the contour runs that way.
        pairs.append(_solved(name, level_set, end, 1 - axis if at_edge else axis, seed))
    for i, point in enumerate(longest.between(along)):
        pairs.append(
            _solved(f"between_{i + 1}", level_set, point, _steepest(level_set, point), seed)
        )
    return Proposal(pairs, f"{shape}; all pairs lie on the longest" if len(pieces) > 1 else shape)


def _shape(pieces: list[Contour]) -> str:
    """What a contour is that is not one line from edge to edge; else empty."""
    closed = sum(piece.closed for piece in pieces)
    if len(pieces) == 1:
        return "is a closed curve" if closed else ""
    return f"has {len(pieces)} pieces{f' ({closed} closed)' if closed else ''}"


def _solved(
    name: str, level_set: LevelSet, point: NDArray[np.float64], axis: int, seed: int | None
) -> Pair:
    solved = level_set.solve(point, axis)
    at = point if solved is None else solved
    return Pair(name, (float(at[0]), float(at[1])), axis, seed)


def _steepest(level_set: LevelSet, point: NDArray[np.float64]) -> int:
    slopes = []
    for axis in range(2):
        factor = np.where(np.arange(2) == axis, 1.05, 1.0)
        mean, _ = level_set.posterior(np.stack([point * factor, point / factor]))
        slopes.append(abs(mean[0] - mean[1]))
    return int(np.argmax(slopes))


class Evidence:
    """Measurements of one search, to which those of its pairs are added."""

    def __init__(
        self,
        level_set: LevelSet,
        points: NDArray[np.float64],
        values: NDArray[np.float64],
        errors: NDArray[np.float64],
    ) -> None:
        self.level_set = level_set
        self._points, self._values, self._errors = points, values, errors
        self._draws = np.zeros(len(values), np.int64)

    def add(self, pair: Pair, metric: str) -> None:
        """Adds a pair's last measurement, on draws of its round, and fits anew."""
        self._points = np.vstack([self._points, pair.alphas])
        self._values = np.append(self._values, pair.value(metric))
        self._errors = np.append(self._errors, pair.standard_error(metric))
        self._draws = np.append(self._draws, pair.rounds)
        self.fit()

    def fit(self) -> None:
        """Conditions the level set on everything measured."""
        self.level_set.fit(self._points, self._values, self._errors, self._draws)


def match_mean(pairs: list[Pair], evidence: Evidence, study: DifficultyStudy) -> Matching:
    """Measures pairs on fresh seeds; moves those that miss and measures them on others.

    The first fresh measurement only corrects the place: the one reported is always made on seeds
    that had no part in choosing it.
    """
    used = set(study.seed_list)
    fresh = (seed for seed in count() if seed not in used)
    num_seeds = study.pairs.num_seeds
    sizes = [correction_draws(num_seeds), *[num_seeds] * study.pairs.max_rounds]
    blocks = [tuple(islice(fresh, size)) for size in sizes]
    open_pairs = list(pairs)
    for block in blocks:
        if not open_pairs:
            return
        purpose: Purpose = "correction" if block is blocks[0] else "pair"
        results = yield [Request(pair.alphas, block, purpose=purpose) for pair in open_pairs]
        for pair, result in zip(open_pairs, results, strict=True):
            pair.measured, pair.rounds = result, pair.rounds + 1
        open_pairs = [pair for pair in open_pairs if pair.rounds == 1 or not pair.within(study)]
        if block is blocks[-1]:
            return
        for pair in open_pairs:
            evidence.add(pair, study.target.metric)
        for pair in open_pairs:
            _move(pair, evidence.level_set)


def correction_draws(num_seeds: int) -> int:
    """Fresh draws that correct a pair's place, where ``num_seeds`` measure what is reported."""
    return max(4, num_seeds // 2)


def _move(pair: Pair, level_set: LevelSet) -> None:
    solved = level_set.solve(np.array(pair.alphas), pair.axis)
    if solved is not None:
        pair.alphas = (float(solved[0]), float(solved[1]))


def match_seed(pairs: list[Pair], study: DifficultyStudy) -> Matching:
    """Finds, for one seed's own graph, alphas near each pair whose kernels meet the target.

    A seed's difficulty jumps between neighbouring alphas, because the same seed draws other
    kernels there. So several alphas around the contour are tried, and the closest one is measured
    again on fresh sequences of the same graph.
    """
    for round_ in range(study.pairs.max_rounds):
        wanting = [pair for pair in pairs if not pair.measured or not pair.within(study)]
        if not wanting:
            return
        tries = [_around(pair, round_, study) for pair in wanting]
        answers = yield [
            Request(alphas, (_seed(pair),), start=FRESH_START)
            for pair, places in zip(wanting, tries, strict=True)
            for alphas in places
        ]
        results = iter(answers)
        for pair, places in zip(wanting, tries, strict=True):
            misses = [
                abs(float(next(results)[study.target.metric].mean()) - study.target.value)
                for _ in places
            ]
            pair.alphas = places[int(np.argmin(misses))]
        checks = yield [Request(pair.alphas, (_seed(pair),), 2 * FRESH_START) for pair in wanting]
        for pair, result in zip(wanting, checks, strict=True):
            pair.measured, pair.rounds = result, round_ + 1


def _seed(pair: Pair) -> int:
    assert pair.seed is not None
    return pair.seed


def _around(pair: Pair, round_: int, study: DifficultyStudy) -> list[tuple[float, float]]:
    """Places spread evenly around a pair along its axis, other ones in every round."""
    reach = 0.05 * (round_ + 1)
    offsets = np.linspace(-reach, reach, NUM_TRIES + round_) * (1 + 0.01 * round_)
    places = []
    for offset in offsets:
        alphas = list(pair.alphas)
        axis = pair.axis
        moved = alphas[axis] * np.exp(offset)
        alphas[axis] = float(np.clip(moved, study.bounds.low[axis], study.bounds.high[axis]))
        places.append((alphas[0], alphas[1]))
    return places
