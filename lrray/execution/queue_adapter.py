"""A queue of cells as Ray Tune's searcher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.search import Searcher

from lrray.errors import NO_ROOM
from lrray.execution.ray_watch import RayWatch
from lrray.search.queue import CellSource


class QueueAdapter(Searcher):
    """Hands Tune the cells of a source, and the source Tune's word that a trial has ended."""

    def __init__(self, source: CellSource) -> None:
        super().__init__(metric="cells_done", mode="max")
        self._source = source

    def suggest(self, trial_id: str) -> Any:
        """Tune's question for the next trial."""
        cells = self._source.hand_out(trial_id)
        if cells is None:
            return None
        return {"cells": [cell.to_dict() for cell in cells]} if cells else Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tune's word that a trial has ended, well or not."""
        self._source.trial_ended(trial_id, lost=error, no_room=(result or {}).get(NO_ROOM))

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


class TrialsNoted(Callback):
    """Keeps a watch informed of the trials that have a worker."""

    def __init__(self, watch: RayWatch) -> None:
        self._working = watch.working

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It has one now."""
        self._working.add(trial.trial_id)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It needs none any longer."""
        self._working.discard(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It has lost its worker for good."""
        self._working.discard(trial.trial_id)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It has lost its worker, and waits for another."""
        self._working.discard(trial.trial_id)
