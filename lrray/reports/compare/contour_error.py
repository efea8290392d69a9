"""How far a search's contour lies from a reference, as its trials come in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lrray.reports.compare.traces import ALPHAS, ContourTask, Trace

FIRST, STEP = 8, 4
"""Numbers of trials at which the contour is estimated: 8, 12, 16, …, and the last."""

_NEEDED = {*ALPHAS, "difficulty"}


def contour_of(trials: pd.DataFrame, task: ContourTask) -> NDArray[np.float64]:
    """Points ``[n, 2]`` of the contour in natural-log alphas; empty where there is none.

    Trials at the same place hold the same measurement, so they count once.
    """
    from lrray.difficulty.level_set import LevelSet  # and SciPy, where contours are compared

    own = trials.drop_duplicates(list(ALPHAS))
    level_set = LevelSet(task.bounds, task.target)
    errors = own["difficulty_se"] if "difficulty_se" in own else np.full(len(own), np.nan)
    level_set.fit(
        own[list(ALPHAS)].to_numpy(float),
        own["difficulty"].to_numpy(float),
        np.asarray(errors, float),
    )
    pieces = [np.log(piece.points) for piece in level_set.contours()]
    return np.vstack(pieces) if pieces else np.zeros((0, 2))


def distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Mean distance of two contours in natural-log units: from each to the nearest of the other.

    The mean over the points of either, averaged over both directions; NaN where one is empty.
    """
    if not len(first) or not len(second):
        return math.nan
    from scipy.spatial.distance import cdist

    apart = cdist(first, second)
    return float(apart.min(axis=1).mean() + apart.min(axis=0).mean()) / 2


def common_task(traces: Iterable[Trace]) -> ContourTask | None:
    """The contour that all study runs look for; None where they differ or look for none."""
    tasks = {trace.task for trace in traces if trace.task is not None}
    return tasks.pop() if len(tasks) == 1 else None


def measures_contour(trace: Trace, task: ContourTask) -> bool:
    """Whether a trace, perhaps from W&B, measured difficulties of alphas within the bounds."""
    if not set(trace.trials.columns) >= _NEEDED or trace.task not in (None, task):
        return False
    points = trace.trials[list(ALPHAS)].to_numpy(float)
    return bool(((points >= task.bounds.low) & (points <= task.bounds.high)).all())


def checkpoints(num_trials: int) -> list[int]:
    """Numbers of trials at which a contour is estimated."""
    return sorted({*range(FIRST, num_trials + 1, STEP), num_trials} - set(range(FIRST)))


def contour_errors(
    traces: Sequence[Trace], task: ContourTask, reference: NDArray[np.float64]
) -> pd.DataFrame:
    """One row per trace and number of trials: ``series, match, evaluations, contour_error``."""
    rows = [
        {
            "series": trace.series,
            "match": trace.match,
            "evaluations": n,
            "contour_error": distance(contour_of(trace.trials.head(n), task), reference),
        }
        for trace in traces
        for n in checkpoints(len(trace))
    ]
    return pd.DataFrame(rows, columns=["series", "match", "evaluations", "contour_error"])
