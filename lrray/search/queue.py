"""Where a run's cells come from: a list, Optuna searches that propose them, or steps of both.

Tune asks a source for the next trial's configuration and tells it when a trial has ended. What a
cell gave is read from its file, never from Tune, so a result counts only once it is durable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from lrray.errors import NO_ROOM, LrrayError, StorageError, told_no_room
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, FAILED, CellRecord
from lrray.studies.cell import Cell

BATCH_S = 1.0
"""Short cells share a trial up to about this much work: a trial itself costs about 0.07 s."""


class CellSource(Searcher):
    """Base of both sources: hands out cells, remembers which trial has which."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(metric="cells_done", mode="max")
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

    def suggest(self, trial_id: str) -> Any:
        """Tune's question for the next trial."""
        cells = [] if self.broken is not None else self.take(trial_id)
        if cells is None:
            return None
        if not cells:
            return Searcher.FINISHED
        self.running[trial_id] = cells
        self.changed()
        return {"cells": [cell.to_dict() for cell in cells]}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tune's word that a trial has ended, well or not."""
        cells = self.running.pop(trial_id, [])
        records = self._records(cells)
        if result is not None and NO_ROOM in result:
            self.broken = told_no_room(result[NO_ROOM])
        elif self.has_scheduler and not error and records == [None]:
            self.folder.save_stopped(cells[0])
            records = [self.folder.load_cell(cells[0].id)]
        for record in records:
            if record is not None and record.state != FAILED:
                self.num_done += 1
            else:
                self.num_failed += 1
        if error and None in records:
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
            self.folder.write_text("probe", "x" * 65536).unlink()
        except OSError as reason:
            self.broken = LrrayError(
                str(self.folder.path), f"cannot be written any longer: {reason.strerror}",
                fix="make room, then run the same command with --resume",
            )  # fmt: skip

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Progress within a trial is no matter of the source."""

    def set_search_properties(self, *_: Any, **__: Any) -> bool:
        """The space is the source's own."""
        return True

    def save(self, checkpoint_path: str) -> None:
        """Nothing of Tune's is resumed: the folder is the memory."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """See :meth:`save`."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher for a resume that never happens (see :meth:`save`)."""
        return {}


class FixedCells(CellSource):
    """A list of cells, each run once; short ones are grouped."""

    def __init__(self, folder: RunFolder, cells: Iterable[Cell], slots: int) -> None:
        super().__init__(folder)
        self._waiting = deque(cells)
        self._slots = max(1, slots)
        self._seconds = BATCH_S  # of one cell, as far as is known

    @property
    def num_left(self) -> int:
        """Cells not yet handed out."""
        return len(self._waiting)

    def take(self, trial_id: str) -> list[Cell]:
        """As many cells as make about ``BATCH_S`` of work, leaving some for every slot."""
        size = int(BATCH_S / max(self._seconds, 1e-3))
        share = -(-len(self._waiting) // (2 * self._slots))
        count = min(max(1, min(size, share)), len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    def ended(self, trial_id: str, records: list[CellRecord | None]) -> None:
        """Learns how long a cell takes."""
        seconds = [record.seconds for record in records if record is not None]
        if seconds:
            self._seconds = 0.5 * self._seconds + 0.5 * sum(seconds) / len(seconds)


@dataclass
class SearchArm:
    """One Optuna search among several that share a run."""

    name: str
    search: OptunaSearch
    cell: Callable[[Mapping[str, Any]], Cell]
    """Turns proposed parameters into the cell that measures them."""
    score: Callable[[Mapping[str, Any]], dict[str, float]]
    """Turns a cell's result into the numbers that the search sees, the objective among them."""
    remaining: int
    """Trials still to propose."""


class SearchedCells(CellSource):
    """Cells proposed by Optuna, from several searches in turn."""

    def __init__(self, folder: RunFolder, arms: Iterable[SearchArm]) -> None:
        super().__init__(folder)
        self.arms = list(arms)
        self._arm_of: dict[str, SearchArm] = {}

    @property
    def num_left(self) -> int:
        """Trials not yet proposed."""
        return sum(arm.remaining for arm in self.arms)

    def take(self, trial_id: str) -> list[Cell]:
        """One proposal of the search that has most of its trials left."""
        arm = max(self.arms, key=lambda arm: arm.remaining)
        if arm.remaining <= 0:
            return []
        arm.remaining -= 1
        self._arm_of[trial_id] = arm
        parameters = arm.search.suggest(trial_id)
        assert parameters is not None
        return [arm.cell(parameters)]

    def ended(self, trial_id: str, records: list[CellRecord | None]) -> None:
        """Tells the proposing search what its proposal gave."""
        record = records[0]
        arm = self._arm_of.pop(trial_id)
        done = record is not None and record.state == DONE
        measured = arm.score(record.result) if done and record is not None else None
        failed = record is None or record.state == FAILED
        arm.search.on_trial_complete(trial_id, measured, error=failed)


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
