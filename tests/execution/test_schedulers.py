"""Schedulers stop bad trials early: judged among those of their own grid point, by their curves."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler

from lrray.config import parse
from lrray.errors import LrrayError
from lrray.execution.schedulers import SchedulerPerPoint, make_scheduler
from lrray.kinds.function import Study
from lrray.studies.schema import CellSearch
from tests.studies.driven import BASE

NOBODY_WAITS = SimpleNamespace(get_live_trials=list)
SOMEBODY_WAITS = SimpleNamespace(get_live_trials=lambda: [SimpleNamespace(status="PENDING")])


@dataclass(eq=False)
class Trial:
    """As much of Tune's trial as schedulers look at."""

    offset: float
    rate: float
    trial_id: str = ""
    config: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.trial_id = f"{self.offset} {self.rate}"
        self.config = {"cells": [{"axes": {"settings.offset": self.offset, "rate": self.rate}}]}


def scheduler(name: str, **search: Any) -> SchedulerPerPoint:
    settings = {"metric": "loss", "scheduler": name, "max_step": 20, **search}
    return SchedulerPerPoint(parse(CellSearch, settings, "search"), ["rate"])


def run(judge: SchedulerPerPoint, trial: Trial, steps: int = 20, others: Any = NOBODY_WAITS) -> int:
    """Lets a trial whose loss is its offset plus rate log its curve; the step at which it ended."""
    judge.on_trial_add(others, trial)
    for step in range(1, steps + 1):
        point = {"step": step, "loss": trial.offset + trial.rate}
        if judge.on_trial_result(others, trial, point) != TrialScheduler.CONTINUE:
            return step
    assert judge.on_trial_result(others, trial, {"cells_done": 1}) == TrialScheduler.CONTINUE
    judge.on_trial_complete(others, trial, {"cells_done": 1})
    return steps


@pytest.mark.parametrize("name", ["asha", "median"])
def test_worse_trials_of_a_point_are_stopped_and_better_ones_end(name: str) -> None:
    judge = scheduler(name)
    ended = [run(judge, Trial(0.0, rate)) for rate in (0.4, 0.3, 0.2, 0.1, 0.9)]
    assert ended[:4] == [20, 20, 20, 20]
    assert ended[4] < 20


@pytest.mark.parametrize("name", ["asha", "median"])
def test_a_harder_point_is_judged_by_itself(name: str) -> None:
    """All points pooled, every trial of the harder one would be stopped at once."""
    judge = scheduler(name)
    for rate in (0.4, 0.3, 0.2, 0.1):
        assert run(judge, Trial(0.0, rate)) == 20
        assert run(judge, Trial(100.0, rate)) == 20
    assert run(judge, Trial(100.0, 0.9)) < 20


@pytest.mark.parametrize("name", ["asha", "median"])
def test_no_trial_is_paused_for_another(name: str) -> None:
    """It would lose its worker at every point of its curve, and fail for that in the end."""
    judge = scheduler(name)
    for rate in (0.4, 0.3):
        assert run(judge, Trial(0.0, rate), others=SOMEBODY_WAITS) == 20


@pytest.mark.parametrize(("name", "default"), [("asha", 1), ("median", 2)])
def test_every_trial_is_given_its_grace(name: str, default: int) -> None:
    for grace, wanted in ((None, default), (7, 7)):
        judge = scheduler(name, grace_period=grace)
        for rate in (0.4, 0.3, 0.2, 0.1):
            run(judge, Trial(0.0, rate))
        assert run(judge, Trial(0.0, 0.9)) == wanted


def test_eta_says_how_few_trials_go_on() -> None:
    """The third of three trials is not in the best fifth, and passes the first rung with 1.2."""
    ended = {}
    for eta in (1.2, 5):
        judge = scheduler("asha", eta=eta)
        ended[eta] = [run(judge, Trial(0.0, rate)) for rate in (0.1, 0.9, 0.5)][2]
    assert ended == {1.2: 2, 5: 1}


@pytest.mark.parametrize(
    ("search", "line"),
    [
        (
            {"grace_period": 30},
            "grace_period: must be at most max_step (20), but got 30 (fix: lower it or raise "
            "max_step)",
        ),
        (
            {"grace_period": 0},
            "grace_period: must be greater than or equal to 1, but got 0 (fix: give a value of at "
            "least 1)",
        ),
        ({"eta": 1}, "eta: must be greater than 1, but got 1 (fix: give a value greater than 1.0)"),
    ],
)
def test_settings_that_no_scheduler_can_use_are_refused(search: Any, line: str) -> None:
    with pytest.raises(LrrayError) as caught:
        scheduler("asha", **search)
    assert str(caught.value) == f"search: {line}"


def test_a_grid_and_a_search_without_scheduler_run_whole() -> None:
    space = {"settings.x": {"distribution": "uniform", "low": 0.0, "high": 1.0}}
    search = {"metric": "loss", "scheduler": "none"}
    assert make_scheduler(parse(Study, BASE, "f")) is None
    assert make_scheduler(parse(Study, {**BASE, "search": search, "search_space": space}, "f")) is (
        None
    )
    judged = {**BASE, "search": {**search, "scheduler": "median"}, "search_space": space}
    assert isinstance(make_scheduler(parse(Study, judged, "f")), SchedulerPerPoint)
