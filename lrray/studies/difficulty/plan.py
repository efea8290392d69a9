"""What a difficulty study would do and how long that takes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from lrray.difficulty.estimate import measure_draw
from lrray.errors import LrrayError
from lrray.gssm import GSSM
from lrray.studies.difficulty.matching import NUM_TRIES
from lrray.studies.difficulty.settings import DifficultyStudy
from lrray.studies.folder import RunFolder
from lrray.studies.grid import GridPoint
from lrray.studies.planning import Plan


def plan(points: Sequence[GridPoint], earlier: RunFolder | None) -> Plan:
    """What a run would do: trials, kernel draws, and seconds of one core (one draw is timed)."""
    trials = draws = 0
    seconds = 0.0
    for point in points:
        study: DifficultyStudy = point.study
        own_trials = study.search.num_trials * len(study.searches)
        seeds = len(next(iter(study.searches.values())))
        num_pairs = 2 + study.pairs.along
        if study.match == "mean":
            pair_draws = 2 * num_pairs * study.pairs.num_seeds
        else:
            pair_draws = (NUM_TRIES + 1) * num_pairs * len(study.searches)
        own_draws = own_trials * seeds + pair_draws
        seconds += own_draws * _draw_seconds(study)
        trials, draws = trials + own_trials, draws + own_draws
    rows = {"grid points": len(points)} if len(points) > 1 else {}
    rows |= {"trials": trials, "kernel draws in all": draws}
    return Plan(rows, seconds, "one kernel draw, timed here")


def _draw_seconds(study: DifficultyStudy) -> float:
    """Time of one kernel draw on one core, in the middle of the search space."""
    bounds = study.bounds
    middle = np.sqrt(np.array(bounds.low) * np.array(bounds.high))
    graph = study.graph.with_alphas(float(middle[0]), float(middle[1]))
    try:
        measure_draw(GSSM(graph, 0), study.size(), num_threads=1)  # compiles
        began = time.perf_counter()
        measure_draw(GSSM(graph, 0), study.size(), num_threads=1)
        return time.perf_counter() - began
    except MemoryError:
        raise LrrayError(
            "graph", "one kernel draw does not fit into memory",
            fix="lower state_dim, the number of parents, or sequences_per_seed",
        ) from None  # fmt: skip
