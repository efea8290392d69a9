"""The sampler that looks for a level set, where a search's target is a contour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from lrray.difficulty.bounds import Bounds
from lrray.difficulty.level_set import LevelSet, startup_points
from lrray.search.joint import Joint, Space, others

_NUM_STARTUP = 8


class LevelSetSampler(Joint):
    """Proposes points for the level set of a noisy function, by the randomised straddle.

    It reads each trial's user attributes ``difficulty`` and ``difficulty_se``.

    Args:
        space: two log-uniform float distributions, in the order (alpha_X, alpha_Z).
        target: the level.
        seed: of the proposals.
        lag: the last ``lag - 1`` trials count as running wherever they stand. Where a trial is only
            asked for once all before these have ended, its proposal is the same whichever of them
            ends first.
    """

    def __init__(self, space: Space, target: float, seed: int, lag: int = 1) -> None:
        self.space, self.seed, self.lag = space, seed, lag
        self.names = list(space)
        low, high = ([getattr(space[name], end) for name in self.names] for end in ("low", "high"))
        self.level_set = LevelSet(Bounds((low[0], low[1]), (high[0], high[1])), target)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Space
    ) -> dict[str, Any]:
        """The next (alpha_X, alpha_Z); an evenly spread point until enough trials are there."""
        known = others(study, trial)
        done, running = list[FrozenTrial](), list[FrozenTrial]()
        for other in known:
            if other.state == TrialState.COMPLETE and other.number <= trial.number - self.lag:
                done.append(other)
            elif other.state in (TrialState.COMPLETE, TrialState.RUNNING):
                running.append(other)
        if len(done) + len(running) < _NUM_STARTUP or len(done) < _NUM_STARTUP // 2:
            return self._startup(known)
        self.level_set.fit(
            self._points(done),
            np.array([t.user_attrs["difficulty"] for t in done]),
            np.array([_number(t.user_attrs.get("difficulty_se")) for t in done]),
        )
        rng = np.random.default_rng([self.seed, trial.number])
        point = self.level_set.next_point(self._points(running), rng)
        return self._parameters(point)

    def _startup(self, known: list[FrozenTrial]) -> dict[str, Any]:
        proposed = [other.params for other in known]
        points = startup_points(self.level_set.bounds, len(known) + 1, self.seed)
        return next(p for p in map(self._parameters, points) if p not in proposed)

    def _parameters(self, point: NDArray[np.float64]) -> dict[str, Any]:
        return dict(zip(self.names, point.tolist(), strict=True))

    def _points(self, trials: Iterable[FrozenTrial]) -> NDArray[np.float64]:
        rows = [[trial.params[name] for name in self.names] for trial in trials]
        return np.array(rows, float).reshape(-1, 2)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
