"""One grid point of a difficulty study: the search of its contour and the pairs on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial
from rich.console import RenderableType
from rich.table import Table

from lrray.difficulty.estimate import Costs
from lrray.kinds.difficulty.between import differences
from lrray.kinds.difficulty.cell import make_cell, objective_of
from lrray.kinds.difficulty.draws import Acceptance
from lrray.kinds.difficulty.matching import (
    Evidence,
    Measured,
    Pair,
    Request,
    match_mean,
    match_seed,
    propose,
)
from lrray.kinds.difficulty.settings import ALPHAS
from lrray.kinds.pairs import FoundPair
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.search.fixed import FixedCells
from lrray.search.memory import Searches
from lrray.search.objective import OBJECTIVE
from lrray.search.program import Phase
from lrray.search.queue import CellSource, OpenSearch, SearchedCells
from lrray.search.samplers import make_sampler
from lrray.studies.cell import Cell
from lrray.studies.grid import GridPoint
from lrray.text import with_error

if TYPE_CHECKING:  # with SciPy, which a plan need not wait for
    import pandas as pd

    from lrray.difficulty.level_set import LevelSet

CELLS_PER_PAIR = 4
"""Cells that measure a pair's kernel draws; no matter of the machine, so that a run can be
continued on another one."""

DRAWS_PER_CELL = 32
"""Draws that one cell tries where draws are tried one by one, on fewer tokens each."""

LEAST_LAG = 4
"""Trials that are proposed without the results of one another. So many, and more where more cells
run at once, that a proposal never waits for a cell that takes a little longer than the others, and
yet is the same whichever ends first: on up to three slots a study gives the same numbers."""


class PointSearch:
    """The search and the pairs of one grid point.

    Args:
        point: its axes and its study.
        folder: the run's folder, shared with the other points.
        searches: those of all points.
        slots: gives the number of cells that fit on the cluster at once.
        known: adopts results of other code.
    """

    def __init__(
        self,
        point: GridPoint,
        folder: RunFolder,
        searches: Searches,
        slots: Callable[[], int],
        known: KnownCells,
    ) -> None:
        self.point, self.study = point, point.study
        self.folder = folder
        self.pairs: list[Pair] = []
        self.surfaces: dict[str, Any] = {}
        self.notes: dict[str, str] = {}
        self.acceptance: Acceptance | None = None
        """Of ``match: per_draw``, once the contour is found."""
        self._open: dict[str, OpenSearch] = {}
        self._of_pairs: set[str] = set()
        self._searches, self._slots, self._known = searches, slots, known

    def _name(self, search: str) -> str:
        """Name of a search among those of all points."""
        return f"{self.point.label} {search}".strip()

    def phases(self) -> Iterator[Phase]:
        """The search, then the measurements of each search's pairs."""
        space = self.study.search_space.to_optuna()
        space = {name: space[name] for name in ALPHAS}
        for name, seeds in self.study.searches.items():
            self._open[name] = self._search(name, seeds, space)
        searched = SearchedCells(self.folder, self._open.values())
        yield Phase(self._name("searching the contour"), searched, self._best_so_far)
        for name in self.study.searches:
            evidence = self._evidence(name)
            if evidence is not None:
                for source in self._measurements(name, evidence):
                    yield Phase(self._name("measuring the pairs on fresh draws"), source)
                target = self.study.target.model_dump()
                self.surfaces[self._name(name)] = {"target": target, **_surface(evidence.level_set)}

    def _measurements(self, name: str, evidence: Evidence) -> Iterator[CellSource]:
        seed = self.study.searches[name][0] if self.study.match == "per_seed" else None
        proposal = propose(evidence.level_set, self.study.pairs.along, seed)
        pairs = proposal.pairs
        if proposal.note:
            self.notes[self._name(name)] = proposal.note
        if self.study.match == "per_draw":
            self.acceptance = Acceptance(pairs, self.study)
            matching = self.acceptance.match()
        elif seed is None:
            matching = match_mean(pairs, evidence, self.study)
        else:
            matching = match_seed(pairs, self.study)
        requests = next(matching, None)
        while requests is not None:
            split = [self._split(request) for request in requests]
            cells = [cell for group in split for cell in group]
            self._of_pairs |= {cell.id for cell in cells}
            missing = [cell for cell in cells if self.folder.load_cell(cell.id) is None]
            yield FixedCells(self.folder, missing, self._slots)
            measured = [self._joined(group) for group in split]
            if not all(measured):  # every cell of a pair failed: failures/ says why
                return
            try:
                requests = matching.send(measured)
            except StopIteration:
                requests = None
        if self.acceptance is not None:
            pairs = [pair for drawn in self.acceptance.drawn for pair in drawn.accepted]
        self.pairs += pairs

    def _search(self, name: str, seeds: Sequence[int], space: dict[str, Any]) -> OpenSearch:
        asked = objective_of(self.study, seeds, self.point.axes)
        search, target = self.study.search, self.study.target.value
        ended = self._searches.recall(self._name(name), space, asked.cell).ended
        lag = None
        if search.sampler == "level_set" and len(ended) < search.num_trials:
            lag = max(LEAST_LAG, self._slots() + 1)
        sampler = make_sampler(search, space, target, lag or 1)
        return self._searches.open(self._name(name), search, space, asked, sampler, lag)

    def _measured(self, name: str) -> list[FrozenTrial]:
        """Measured trials of a search; none where the run was cut short before it."""
        return self._open[name].measured() if name in self._open else []

    def _evidence(self, name: str) -> Evidence | None:
        from lrray.difficulty.level_set import LevelSet

        trials = self._measured(name)
        if len(trials) < 3:
            return None
        values = np.array([trial.user_attrs["difficulty"] for trial in trials])
        errors = np.array([trial.user_attrs.get("difficulty_se", np.nan) for trial in trials])
        level_set = LevelSet(self.study.bounds, self.study.target.value)
        evidence = Evidence(level_set, _points(trials), values, errors)
        evidence.fit()
        return evidence

    def _split(self, request: Request) -> list[Cell]:
        study, seeds = self.study, request.seeds
        size = study.size(request.start, request.purpose)
        each = -(-len(seeds) // CELLS_PER_PAIR)
        each = DRAWS_PER_CELL if study.match == "per_draw" else each
        blocks = [seeds[i : i + each] for i in range(0, len(seeds), each)]
        scored = len(blocks)
        if study.match == "mean" and study.target.metric != "entropy_bits":
            scored = math.ceil(scored * Costs.of(study.graph, size).worth_scoring)
        unscored = replace(size, entropy_sequences=0)
        cells = (
            make_cell(study, request.alphas, block, size if i < scored else unscored)
            for i, block in enumerate(blocks)
        )
        return [self._known.adopt(cell) for cell in cells]

    def _joined(self, cells: Sequence[Cell]) -> Measured:
        """Values of all draws, those of failed cells left out, or NaN where each draw counts."""
        records = [self.folder.load_cell(cell.id) for cell in cells]
        parts = [
            record.result["per_seed"] if record and record.result else {} for record in records
        ]
        names = list(dict.fromkeys(name for part in parts for name in part))
        if self.study.match == "per_draw":
            blank = [[np.nan] * len(cell.settings["seeds"]) for cell in cells]
            both = list(zip(parts, blank, strict=True))
            return {n: np.concatenate([part.get(n, none) for part, none in both]) for n in names}
        return {name: np.concatenate([p[name] for p in parts if name in p]) for name in names}

    def _best_so_far(self) -> RenderableType | None:
        """The two ends among trials close to the target, as the search goes on."""
        target = self.study.target
        close = [
            trial
            for name in self.study.searches
            for trial in self._measured(name)
            if trial.value is not None and trial.value <= max(3 * target.tolerance, 0.02)
        ]
        if not close:
            return None
        table = Table("best so far", *ALPHAS, target.metric, title_justify="left")
        for label, key in (("easy to infer", ALPHAS[0]), ("easy to predict", ALPHAS[1])):
            best = min(close, key=lambda trial: trial.params[key])
            value, error = best.user_attrs["difficulty"], best.user_attrs.get("difficulty_se")
            shown = with_error(value, error)
            table.add_row(label, *(f"{best.params[name]:.4g}" for name in ALPHAS), shown)
        return table

    def wanted(self) -> set[str]:
        """Ids of the cells of its trials and pairs; others in the folder are older ones."""
        return self._of_pairs.union(*(search.cell_ids for search in self._open.values()))

    def rows(self) -> list[dict[str, Any]]:
        """One row per trial, in the order proposed."""
        rows = []
        for name, seeds in self.study.searches.items():
            for trial in self._measured(name):
                own = {} if self.study.match == "mean" else {"seed": seeds[0]}
                numbers = {k: v for k, v in trial.user_attrs.items() if k != OBJECTIVE}
                axes = {**self.point.axes, "search": self._name(name)}
                rows.append({**axes, "trial": trial.number, **own, **trial.params, **numbers})
        return rows

    def found_pairs(self, with_graph: bool) -> list[FoundPair]:
        """Its pairs, with what tells its point from others."""
        study, found = self.study, []
        for pair in self.pairs:
            of_seed = study.match == "per_seed"
            named = (n for n, own in study.searches.items() if not of_seed or pair.seed in own)
            graph = study.graph if with_graph else None
            found.append(pair.found(study, self.point.axes, self._name(next(named)), graph))
        return found

    def summary(self) -> dict[str, Any]:
        """What was asked for here, the range of difficulty met, and the contour's odd shapes."""
        return {
            **({"notes": self.notes} if self.notes else {}),
            "axes": dict(self.point.axes),
            "searches": [self._name(name) for name in self.study.searches],
            "target": self.study.target.model_dump(),
            "match": self.study.match,
            "seeds_per_trial": len(next(iter(self.study.searches.values()))),
            "range": range_of(trial_table(self.rows())),
            **self._acceptance(),
            "differences": [one.to_row() for one in differences(self.pairs, self.point)],
        }

    def _acceptance(self) -> dict[str, Any]:
        """Of ``match: per_draw``, what draws had to match and how many of those tried did."""
        if self.acceptance is None:
            return {}
        drawn = [one.summary() for one in self.acceptance.drawn]
        asked = {"wanted": self.study.pairs.num_draws, "window_bits": self.study.pairs.window_bits}
        return {"information_bits": self.acceptance.information_bits, **asked, "draws": drawn}


def _points(trials: list[FrozenTrial]) -> NDArray[np.float64]:
    return np.array([[trial.params[name] for name in ALPHAS] for trial in trials])


def _surface(level_set: LevelSet) -> dict[str, Any]:
    """The Gaussian process's picture as plain data, for figures."""
    alpha_x, alpha_z, mean, deviation = level_set.surface(61)
    return {
        "alpha_X": alpha_x.tolist(),
        "alpha_Z": alpha_z.tolist(),
        "mean": np.round(mean, 5).tolist(),
        "sd": np.round(deviation, 5).tolist(),
        "contours": [
            {
                "points": line.points.tolist(),
                "half_width": line.half_width.tolist(),
                "closed": line.closed,
            }
            for line in level_set.contours()
        ],
    }


def trial_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Trials as ``trials.csv`` holds them."""
    import pandas as pd

    return pd.DataFrame(rows, columns=None if rows else ["trial", *ALPHAS, "difficulty"])


def range_of(trials: pd.DataFrame) -> list[float]:
    """Lowest and highest difficulty met; NaN without any trial."""
    return [float(trials["difficulty"].min()), float(trials["difficulty"].max())]
