"""Kernel draws accepted one by one: pairs that are equally hard for each seed, not on average."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice

import numpy as np

from lrray.kinds.difficulty.matching import FRESH_START, Matching, Measured, Pair, Request
from lrray.kinds.difficulty.settings import DifficultyStudy

DRAWS_PER_ROUND = 64
"""Kernel draws of each pair that are tried at once."""

BOUND, INFORMATION = "entropy_bits", "information_bits"


@dataclass
class Drawn:
    """What was tried and accepted at one point of the contour."""

    pair: Pair
    tried: int = 0
    accepted: list[Pair] = field(default_factory=list)
    """In the order tried, each with its kernel draw and what was measured on fresh sequences."""

    def accept(self, seed: int, measured: Measured) -> None:
        """Keeps a draw for the next seed of the studies that train on it."""
        number = len(self.accepted)
        own = Pair(self.pair.name, self.pair.alphas, self.pair.axis, seed, number, measured, 1)
        self.accepted.append(own)

    def summary(self) -> dict[str, object]:
        """Plain data: alphas, how many were tried and how many accepted."""
        alpha_X, alpha_Z = self.pair.alphas
        return {
            "name": self.pair.name, "alpha_X": alpha_X, "alpha_Z": alpha_Z,
            "tried": self.tried, "accepted": len(self.accepted),
        }  # fmt: skip


class Acceptance:
    """Tries kernel draws of proposed pairs until each has enough that match by themselves.

    A draw is accepted if its exact bound and what there is to learn beyond token frequencies both
    lie within the window around the target; so the alphas only say where such draws are common.
    Both are measured twice: the first measurement chooses, the second, on fresh sequences of the
    same draw, must meet the window as well and is the one that is reported.
    """

    def __init__(self, pairs: list[Pair], study: DifficultyStudy) -> None:
        self.study = study
        self.drawn = [Drawn(pair) for pair in pairs]
        self.information_bits = study.target.information_bits

    def match(self) -> Matching:
        """Yields what to measure next; see :data:`lrray.kinds.difficulty.matching.Matching`."""
        seeds = self._fresh_seeds()
        while wanting := [drawn for drawn in self.drawn if self._wants(drawn)]:
            block = tuple(islice(seeds, DRAWS_PER_ROUND))
            screened = yield [Request(drawn.pair.alphas, block) for drawn in wanting]
            if self.information_bits is None:
                means = [np.nanmean(measured[INFORMATION]) for measured in screened]
                self.information_bits = float(np.mean(means))
            chosen = [
                tuple(np.array(block)[self._fits(measured)].tolist()) for measured in screened
            ]
            again = [(d, own) for d, own in zip(wanting, chosen, strict=True) if own]
            if again:
                checked = yield [Request(d.pair.alphas, own, FRESH_START) for d, own in again]
                for (drawn, own), measured in zip(again, checked, strict=True):
                    self._accept(drawn, own, measured)
            for drawn in wanting:
                drawn.tried += len(block)

    def _fresh_seeds(self) -> Iterator[int]:
        """Draws that had no part in finding the contour."""
        used = set(self.study.seed_list)
        return (seed for seed in count() if seed not in used)

    def _wants(self, drawn: Drawn) -> bool:
        settings = self.study.pairs
        return len(drawn.accepted) < settings.num_draws and drawn.tried < settings.max_draws

    def _fits(self, measured: Measured) -> np.ndarray:
        """``[seeds]``: which draws meet the target; one whose measurement failed does not."""
        assert self.information_bits is not None  # the first draws have said
        window = self.study.pairs.window_bits
        bound_fits = np.abs(measured[BOUND] - self.study.target.value) <= window
        return bound_fits & (np.abs(measured[INFORMATION] - self.information_bits) <= window)

    def _accept(self, drawn: Drawn, seeds: tuple[int, ...], measured: Measured) -> None:
        for i in np.flatnonzero(self._fits(measured)):
            if len(drawn.accepted) < self.study.pairs.num_draws:
                drawn.accept(seeds[i], {name: v[i : i + 1] for name, v in measured.items()})
