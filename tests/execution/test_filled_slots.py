"""Which trial gets a worker that has become free."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from lrray.execution.schedulers import FillSlots


@dataclass
class Controller:
    """Trials as Tune's controller lists them: in their order, and those that have not ended."""

    states: list[str]

    def get_trials(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(status=state, number=i) for i, state in enumerate(self.states)]

    def get_live_trials(self) -> list[SimpleNamespace]:
        return [trial for trial in self.get_trials() if trial.status != "TERMINATED"]


@pytest.mark.parametrize(
    ("slots", "states", "chosen"),
    [
        (2, "", None),
        (2, "P", 0),  # the first worker is to start
        (2, "PP", 1),  # and the second one
        (2, "TPP", 2),  # the first worker is free, the second one still starting for trial 1
        (2, "RPP", 1),  # both have started, one is free: in order
        (2, "TTPP", 3),
        (2, "TTP", 2),
        (4, "TRPPP", 4),  # two of four are still starting
        (4, "RRRPP", 3),
        (1, "TPP", 1),
        (2, "RR", None),
    ],
)
def test_a_free_worker_is_not_given_to_a_trial_whose_own_is_starting(
    slots: int, states: str, chosen: int | None
) -> None:
    names = {"P": "PENDING", "R": "RUNNING", "T": "TERMINATED"}
    trial = FillSlots(slots).choose_trial_to_run(Controller([names[state] for state in states]))
    assert (None if trial is None else trial.number) == chosen  # type: ignore[attr-defined]
