"""What a difficulty study would do and how long that takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lrray.difficulty.estimate import Costs, measure_draw
from lrray.errors import LrrayError
from lrray.kinds.difficulty.cell import make_cell, objective_of
from lrray.kinds.difficulty.matching import NUM_TRIES, correction_draws
from lrray.kinds.difficulty.settings import ALPHAS, DifficultyStudy, Purpose
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.results.record import CellRecord
from lrray.search.memory import Searches
from lrray.search.program import Plan
from lrray.studies.grid import GridPoint

DRAWS_TRIED = 20
"""Kernel draws that are expected to be tried until one is accepted."""


def plan(points: Sequence[GridPoint], earlier: RunFolder | None, known: KnownCells) -> Plan:
    """What a run would do: trials, kernel draws, and seconds of one core (one draw is timed)."""
    trials = done = draws = 0
    seconds = 0.0
    records = [] if earlier is None else list(earlier.cells())
    searches = None if earlier is None else Searches(earlier, known)
    for point in points:
        study: DifficultyStudy = point.study
        own_trials = study.search.num_trials * len(study.searches)
        own_done = _trials_done(point, searches)
        seeds = len(next(iter(study.searches.values())))
        num_pairs = 2 + study.pairs.along
        if study.match == "mean":
            draws_of_pair = study.pairs.num_seeds + correction_draws(study.pairs.num_seeds)
            pair_draws = num_pairs * draws_of_pair
        elif study.match == "per_draw":
            tried = DRAWS_TRIED * study.pairs.num_draws
            pair_draws = num_pairs * min(study.pairs.max_draws, tried)
        else:
            pair_draws = (NUM_TRIES + 1) * num_pairs * len(study.searches)
        left = (own_trials - own_done) * seeds + _pair_draws_left(study, pair_draws, records, known)
        seconds += left * _draw_seconds(study) if left else 0.0
        draws += own_trials * seeds + pair_draws
        trials, done = trials + own_trials, done + own_done
    rows = {"grid points": len(points)} if len(points) > 1 else {}
    rows |= {"trials": trials, "done already": done, "kernel draws in all": draws}
    return Plan(rows, seconds, "one kernel draw, timed here")


def _trials_done(point: GridPoint, searches: Searches | None) -> int:
    study: DifficultyStudy = point.study
    if searches is None:
        return 0
    space, done = study.search_space.to_optuna(), 0
    for name, seeds in study.searches.items():
        cell = objective_of(study, seeds, point.axes).cell
        ended = searches.recall(f"{point.label} {name}".strip(), space, cell).ended
        done += min(study.search.num_trials, len(ended))
    return done


def _pair_draws_left(
    study: DifficultyStudy, wanted: int, records: list[CellRecord], known: KnownCells
) -> int:
    """Kernel draws of a point's pairs that are not measured yet.

    Takes its records out of the list: points that share a graph do not count them twice.
    """
    for record in list(records):
        if wanted > 0 and _is_of_a_pair(record, study, known):
            records.remove(record)
            wanted -= len(record.settings["seeds"])
    return max(0, wanted)


def _is_of_a_pair(record: CellRecord, study: DifficultyStudy, known: KnownCells) -> bool:
    """Whether a cell measures a pair of this study: on fresh draws, or on fresh sequences."""
    seeds, start = record.settings["seeds"], record.settings["size"]["start"]
    if study.match != "per_seed" and not set(seeds).isdisjoint(study.seed_list):
        return False
    if study.match == "per_seed" and not start:
        return False
    alphas = [record.axes[name] for name in ALPHAS]
    purposes: tuple[Purpose, ...] = ("correction", "pair")
    sizes = [study.size(start, purpose) for purpose in purposes]
    sizes.append(replace(sizes[-1], entropy_sequences=0))
    cells = (make_cell(study, alphas, seeds, size) for size in sizes)
    return record.id in (known.adopt(cell).id for cell in cells)


def _draw_seconds(study: DifficultyStudy) -> float:
    """Mean time of a trial's kernel draws on one core: one is timed, in the middle of the space.

    It is measured whole; what the others take beside it is counted.
    """
    from lrray.gssm import GSSM  # with Numba, which a plan of what is done need not wait for

    bounds = study.bounds
    middle = np.sqrt(np.array(bounds.low) * np.array(bounds.high))
    graph = study.graph.with_missing_alphas(float(middle[0]), float(middle[1]))
    size = study.size()
    one = replace(size, entropy_sequences=min(1, size.entropy_sequences))
    costs = Costs.of(graph, size)
    try:
        measure_draw(GSSM(graph, 0), one, num_threads=1)  # compiles
        began = time.perf_counter()
        measure_draw(GSSM(graph, 0), one, num_threads=1)
        seconds = time.perf_counter() - began
        return seconds * costs.share(len(next(iter(study.searches.values()))))
    except MemoryError:
        raise LrrayError(
            "graph", "one kernel draw does not fit into memory",
            fix="lower state_dim, the number of parents, or sequences_per_seed",
        ) from None  # fmt: skip
