"""Tune's schedulers: which trial gets a free worker, and which bad ones of a search stop early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from math import inf
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule
from ray.tune.schedulers.trial_scheduler import TrialScheduler

from lrray.studies.cell import digest
from lrray.studies.schema import CellSearch, CellStudy, StudyBase

TIME = "step"
"""By what curves are compared."""


class FillSlots(FIFOScheduler):
    """Starts trials in their order, but leaves those alone whose worker is still starting.

    A worker that becomes free goes to the trial that is chosen here, and Tune throws away the one
    that was starting for it. In plain order that is the trial whose worker is starting: where cells
    take less time than a worker's start, no second worker ever gets to its first cell, and one core
    does nothing but start processes.

    Args:
        slots: cells that fit on the cluster at once.
    """

    def __init__(self, slots: int) -> None:
        super().__init__()
        self._slots = slots

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Of the waiting trials the first behind as many as there are workers starting."""
        states = Counter(trial.status for trial in tune_controller.get_live_trials())
        if not states[Trial.PENDING]:
            return None
        newest_first = reversed(tune_controller.get_trials())
        waiting = (trial for trial in newest_first if trial.status == Trial.PENDING)
        pending = [*islice(waiting, states[Trial.PENDING])][::-1]
        starting = max(0, self._slots - 1 - states[Trial.RUNNING])
        return pending[min(starting, len(pending) - 1)]


def make_scheduler(study: StudyBase) -> FIFOScheduler | None:
    """The scheduler that a study's search asks for; a grid's cells are all needed whole."""
    if not isinstance(study, CellStudy) or study.search is None or study.search_space is None:
        return None
    if study.search.scheduler == "none":
        return None
    return SchedulerPerPoint(study.search, study.search_space.root)


class SchedulerPerPoint(FIFOScheduler):
    """Judges a trial among those of its own grid point: other points may be harder.

    Args:
        search: names the scheduler and the metric.
        searched: names of the axes that the search varies, which no grid point has.
    """

    def __init__(self, search: CellSearch, searched: Iterable[str]) -> None:
        super().__init__()
        self._search, self._searched = search, set(searched)
        self._of_point: dict[str, TrialScheduler] = {}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Passed on."""
        self._own(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Judges a point of a curve; a trial's last word, that it is done, is none."""
        if TIME not in result or self._search.metric not in result:
            return TrialScheduler.CONTINUE
        decision: str = self._own(trial).on_trial_result(tune_controller, trial, result)
        return decision

    def _own(self, trial: Any) -> TrialScheduler:
        axes: Mapping[str, Any] = trial.config["cells"][0]["axes"]
        point = digest({key: axes[key] for key in axes if key not in self._searched})
        if point not in self._of_point:
            self._of_point[point] = _MAKERS[self._search.scheduler](self._search)
        return self._of_point[point]


def _asha(search: CellSearch) -> TrialScheduler:
    return AsyncHyperBandScheduler(
        time_attr=TIME, metric=search.metric, mode=search.mode,
        # A trial that reaches the last step is whole: stopping there would lose its result.
        max_t=search.max_step + 1,
        grace_period=search.grace_steps,
        reduction_factor=search.eta,
    )  # fmt: skip


def _median(search: CellSearch) -> TrialScheduler:
    return MedianStoppingRule(
        time_attr=TIME, metric=search.metric, mode=search.mode,
        grace_period=search.grace_steps,
        # A trial that is paused for another loses its worker.
        min_time_slice=inf,  # type: ignore[arg-type]
    )  # fmt: skip


_MAKERS: dict[str, Callable[[CellSearch], TrialScheduler]] = {"asha": _asha, "median": _median}
