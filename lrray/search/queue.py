"""Where a run's cells come from: a list, Optuna searches that propose them, or steps of both.

Whoever runs cells asks a source for those of the next trial and tells it when a trial has ended.
What a cell gave is read from its file, so a result counts only once it is durable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from lrray.errors import LrrayError, StorageError, told_no_room
from lrray.results.folder import RunFolder
from lrray.results.record import FAILED, STOPPED, CellRecord
from lrray.search.objective import Objective
from lrray.search.proposals import Proposals
from lrray.search.samplers import Space
from lrray.studies.cell import Cell


class CellSource:
    """Base of all sources: hands out cells, remembers which trial has which."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.running: dict[str, list[Cell]] = {}
        self.num_done = self.num_failed = 0
        self.broken: LrrayError | None = None
        """Why no more cells are to run, e.g. where the folder cannot be written any longer."""
        self.has_scheduler = False
        """Whether bad cells are stopped early: one without a record was."""
        self.changed: Callable[[], None] = lambda: None
        """Called after every change of the counts."""

    @property
    def running_cells(self) -> list[Cell]:
        """Cells that are handed out and have not ended."""
        return [cell for cells in list(self.running.values()) for cell in cells]

    @property
    def num_left(self) -> int:
        """Cells not yet handed out."""
        raise NotImplementedError

    def take(self, trial_id: str) -> list[Cell] | None:
        """The next trial's cells; empty where none is left, None to be asked again later."""
        raise NotImplementedError

    def ended(self, trial_id: str, records: list[CellRecord | None]) -> None:
        """Hears how a trial's cells ended; None for one that has no record."""

    def hand_out(self, trial_id: str) -> list[Cell] | None:
        """As :meth:`take`, and keeps count; empty also once the source is broken."""
        if self.broken is not None:
            return []
        try:
            cells = self.take(trial_id)
        except LrrayError as reason:  # e.g. a search proposes what the study does not allow
            self.broken = reason
            return []
        except OSError as reason:  # a proposal could not be kept
            self.broken = self._cannot_write(reason)
            return []
        if cells:
            self.running[trial_id] = cells
            self.changed()
        return cells

    def trial_ended(self, trial_id: str, lost: bool = False, no_room: str | None = None) -> None:
        """Takes note that a trial has ended, well or not.

        Args:
            trial_id: the trial.
            lost: it ended without a word of its own.
            no_room: where and why its disk is full.
        """
        cells = self.running.pop(trial_id, [])
        records = self._records(cells)
        if no_room is not None:
            self.broken = told_no_room(no_room)
        elif self.has_scheduler and not lost and records == [None]:
            self.folder.save_stopped(cells[0])
            records = [self.folder.load_cell(cells[0].id)]
        for record in records:
            if record is not None and record.state != FAILED:
                self.num_done += 1
            else:
                self.num_failed += 1
        if lost and None in records:
            self._check_folder()
        try:
            self.ended(trial_id, records)
        except LrrayError as reason:  # e.g. a cell has not the number that is searched for
            self.broken = reason
        self.changed()

    def _records(self, cells: list[Cell]) -> list[CellRecord | None]:
        try:
            return self.folder.load_cells(cell.id for cell in cells)
        except StorageError as reason:
            self.broken = reason
            return [self.folder.load_cell(cell.id) for cell in cells]

    def _check_folder(self) -> None:
        """A worker could not keep a cell's outcome: finds out whether the folder is to blame."""
        try:
            self.folder.has_room()
        except OSError as reason:
            self.broken = self._cannot_write(reason)

    def _cannot_write(self, reason: OSError) -> LrrayError:
        return LrrayError(
            str(self.folder.path), f"cannot be written any longer: {reason.strerror}",
            fix="make room, then run the same command with --resume",
        )  # fmt: skip


@dataclass
class OpenSearch:
    """One search while it runs: an Optuna study, asked for trials and told their outcome."""

    name: str
    study: Study
    space: Space
    objective: Objective
    proposals: Proposals
    remaining: int
    """Trials still to propose."""
    cell_ids: list[str]
    """Cells of the trials that have ended, in that order."""
    _waiting: int
    """Pending proposals of an earlier driver, which come first."""
    lag: int | None = None
    """A trial is asked for once all have ended but the last ``lag - 1``; None: at once."""
    _running: set[int] = field(default_factory=set)
    """Numbers of the trials that are asked for and have not ended."""

    @property
    def is_ready(self) -> bool:
        """Whether the next trial may be asked for."""
        if not self.remaining:
            return False
        if self.lag is None or self._waiting or not self._running:
            return True
        asked = len(self.study.get_trials(deepcopy=False))
        return min(self._running) > asked - self.lag

    def ask(self) -> tuple[Trial, Cell]:
        """The next trial and its cell; the proposal is kept before this returns."""
        trial = self.study.ask(fixed_distributions=self.space)
        cell = self.objective.cell(trial.params)
        if self._waiting:
            self._waiting -= 1
        else:
            self.proposals.add(cell.id, trial.params)
        self.remaining -= 1
        self._running.add(trial.number)
        return trial, cell

    def tell(self, trial: Trial, record: CellRecord | None) -> None:
        """Hears the outcome of a trial's cell; None: it was lost.

        Raises:
            LrrayError: the cell has not the number that is searched for.
        """
        self._running.discard(trial.number)
        if record is None or record.state == FAILED:
            self.study.tell(trial, state=TrialState.FAIL)
        elif record.state == STOPPED:
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            score = self.objective.score(record.result)
            for name, value in score.numbers.items():
                trial.set_user_attr(name, value)
            if score.value == score.value:
                self.study.tell(trial, score.value)
            else:
                self.study.tell(trial, state=TrialState.FAIL)
        if record is not None:
            self.cell_ids.append(record.id)

    def measured(self) -> list[FrozenTrial]:
        """Trials that gave the number searched for, in the order proposed."""
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def outcome(self) -> dict[str, Any]:
        """How the trials ended, by state, and the best: its settings and the number searched for.

        ``settings`` and the number are missing where no trial gave one.
        """
        states = Counter(trial.state for trial in self.study.get_trials(deepcopy=False))
        found: dict[str, Any] = {"condition": self.name, "metric": self.objective.metric}
        found |= {name: states[state] for name, state in _OUTCOMES.items()}
        measured = [trial for trial in self.measured() if trial.value is not None]
        if measured:
            best = min(measured, key=attrgetter("value"))
            value = best.user_attrs.get(self.objective.metric, best.value)
            found |= {"value": value, "settings": dict(best.params)}
        return found


_OUTCOMES = {
    "done": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL,
}  # fmt: skip


@dataclass(frozen=True)
class _Proposed:
    search: OpenSearch
    trial: Trial
    cell: Cell


class SearchedCells(CellSource):
    """Cells proposed by Optuna, from several searches in turn."""

    def __init__(self, folder: RunFolder, searches: Iterable[OpenSearch]) -> None:
        super().__init__(folder)
        self.searches = list(searches)
        self._taken: dict[str, _Proposed] = {}
        self._held: list[_Proposed] = []

    @property
    def num_left(self) -> int:
        """Trials not yet handed out."""
        return sum(search.remaining for search in self.searches) + len(self._held)

    def take(self, trial_id: str) -> list[Cell] | None:
        """One proposal of the search that has most of its trials left.

        One of a place that is being measured waits until that is done: two workers must not share
        a checkpoint. Its search proposes nothing meanwhile.
        """
        taken = {proposed.cell.id for proposed in self._taken.values()}
        proposed = next((held for held in self._held if held.cell.id not in taken), None)
        if proposed is not None:
            self._held.remove(proposed)
        while proposed is None:
            waiting = [held.search for held in self._held]
            left = [s for s in self.searches if s.remaining and s not in waiting]
            open_ = [search for search in left if search.is_ready]
            if not open_:
                return None if waiting or left else []
            search = max(open_, key=lambda search: search.remaining)
            proposed = _Proposed(search, *search.ask())
            if proposed.cell.id in taken:
                self._held.append(proposed)
                proposed = None
        self._taken[trial_id] = proposed
        return [proposed.cell]

    def ended(self, trial_id: str, records: list[CellRecord | None]) -> None:
        """Tells the proposing search what its proposal gave."""
        proposed = self._taken.pop(trial_id)
        proposed.search.tell(proposed.trial, records[0])


class Steps(CellSource):
    """Sources one after the other; a step is made only when the one before has ended.

    So a study whose next cells depend on earlier results needs one Tune run, and its workers
    stay warm.
    """

    def __init__(self, folder: RunFolder, steps: Iterator[CellSource]) -> None:
        super().__init__(folder)
        self._steps = steps
        self._step = next(steps, None)

    @property
    def num_left(self) -> int:
        """Cells of the present step not yet handed out."""
        return 0 if self._step is None else self._step.num_left

    def has_work(self) -> bool:
        """Whether any step has cells to hand out; those before it are passed over."""
        while self._step is not None and not self._step.num_left:
            self._step = next(self._steps, None)
        return self._step is not None

    def take(self, trial_id: str) -> list[Cell] | None:
        """The present step's next cells, or those of the first later step that has any."""
        while self._step is not None:
            cells = self._step.take(trial_id)
            if cells is None or cells:
                return cells
            if self.running:
                return None
            self._step = next(self._steps, None)
        return []

    def ended(self, trial_id: str, records: list[CellRecord | None]) -> None:
        """Passed on to the step that handed the cells out."""
        if self._step is not None:
            self._step.ended(trial_id, records)
