"""Optuna searches whose memory is a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search.optuna import OptunaSearch

from lrray.errors import LrrayError
from lrray.files import write_whole
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, FAILED, STOPPED, CellRecord
from lrray.search.objective import OBJECTIVE
from lrray.search.queue import SearchArm
from lrray.studies.cell import Cell
from lrray.studies.schema import Search

JOURNAL = "optuna.journal"


class StoredSearch(OptunaSearch):
    """Tune's Optuna searcher that also keeps what a trial measured, as user attributes."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Stores numbers first, so that a finished Optuna trial always has them."""
        if result is not None:
            for key, value in result.items():
                self._ot_trials[trial_id].set_user_attr(key, value)
        super().on_trial_complete(trial_id, result, error)


Score = Callable[[Mapping[str, Any]], dict[str, float]]
MakeCell = Callable[[Mapping[str, Any]], Cell]


def open_arm(
    folder: RunFolder,
    storage: JournalStorage,
    name: str,
    search: Search,
    sampler: BaseSampler,
    space: dict[str, BaseDistribution],
    cell: MakeCell,
    score: Score,
) -> SearchArm:
    """Opens or continues a search, its journal brought in line with the cells that ended.

    The cells' files are the truth: what the journal says differently (it was lost or cut short, a
    cell's file was damaged, settings or code have changed since) is replaced. Proposals without a
    result are made again. So a continued search ends with exactly ``num_trials`` trials that were
    measured or failed for good; one that proposed a place twice counts it twice.

    Args:
        folder: the run's folder.
        storage: its journal, from :func:`open_journal`.
        name: of the search within the journal.
        search: the study's settings.
        sampler: proposes.
        space: what it proposes from.
        cell: turns parameters into a cell.
        score: turns a cell's result into the objective and the numbers kept beside it.
    """
    ended: list[FrozenTrial] = []
    known: set[str] = set()
    repeat: dict[str, dict[str, Any]] = {}
    for trial in _proposed(storage, name):
        parameters = trial.system_attrs.get("fixed_params", trial.params)
        if not _lies_in(space, parameters):
            continue
        cell_id = cell(parameters).id
        record = folder.load_cell(cell_id)
        if record is not None:
            ended.append(_as_trial(record, space, score))
            known.add(cell_id)
        else:
            repeat[cell_id] = {key: parameters[key] for key in space}
    axes = _axes_of_cells(folder, storage)
    lost = [r for r in _own_records(folder, axes, space, cell) if r.id not in known]
    ended += [_as_trial(record, space, score) for record in lost]
    _rewrite(storage, name, ended)
    remaining = max(0, search.num_trials - len(ended))
    seeker = StoredSearch(
        space=space,
        metric=OBJECTIVE,
        mode="min",
        sampler=sampler,
        study_name=name,
        storage=storage,
        points_to_evaluate=list(repeat.values())[:remaining],
    )
    return SearchArm(name, seeker, cell, score, remaining)


_AXES: WeakKeyDictionary[JournalStorage, dict[str, Mapping[str, Any]]] = WeakKeyDictionary()
"""Journal -> cell -> axes: hundreds of searches share a run, and each looks through its cells."""


def _axes_of_cells(folder: RunFolder, storage: JournalStorage) -> dict[str, Mapping[str, Any]]:
    """Axes of all cells that have a record, of which each is read once."""
    known = _AXES.setdefault(storage, {})
    for path in sorted((folder.path / "cells").glob("*.json")):
        if path.stem not in known and (record := folder.load_cell(path.stem)) is not None:
            known[path.stem] = record.axes
    return known


def _own_records(
    folder: RunFolder,
    axes_of: Mapping[str, Mapping[str, Any]],
    space: dict[str, BaseDistribution],
    cell: MakeCell,
) -> list[CellRecord]:
    """Records of cells that this search proposed, whether its journal still knows them or not."""
    found = []
    others: dict[str, Any] | None = None  # axes that all cells of this search have in common
    for cell_id, axes in axes_of.items():
        if others not in (None, _without(space, axes)) or not _lies_in(space, axes):
            continue
        if others is None:
            others = _without(space, cell(axes).axes)
        if _without(space, axes) == others and cell(axes).id == cell_id:
            found.append(folder.load_cell(cell_id))
    return sorted(filter(None, found), key=lambda record: record.finished_at)


def _without(space: Mapping[str, Any], axes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in axes.items() if key not in space}


_STATES = {DONE: TrialState.COMPLETE, FAILED: TrialState.FAIL, STOPPED: TrialState.PRUNED}


def _as_trial(record: CellRecord, space: dict[str, BaseDistribution], score: Score) -> FrozenTrial:
    measured = score(record.result) if record.state == DONE else {}
    trial = optuna.trial.create_trial(
        state=_STATES[record.state],
        params={key: record.axes[key] for key in space},
        distributions=space,
        value=measured.get(OBJECTIVE),
        user_attrs=dict(measured),
    )
    trial.datetime_start = datetime.fromtimestamp(record.finished_at - record.seconds)
    trial.datetime_complete = datetime.fromtimestamp(record.finished_at)
    return trial


def _proposed(storage: JournalStorage, name: str) -> list[FrozenTrial]:
    """All trials of a search in the order they were proposed; none where it is not there."""
    if name not in optuna.get_all_study_names(storage):
        return []
    return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)


def _rewrite(storage: JournalStorage, name: str, trials: list[FrozenTrial]) -> None:
    """Makes a search consist of these trials."""
    if name in optuna.get_all_study_names(storage):
        optuna.delete_study(study_name=name, storage=storage)
    optuna.create_study(study_name=name, storage=storage).add_trials(trials)


def _lies_in(space: dict[str, BaseDistribution], parameters: Mapping[str, Any]) -> bool:
    try:
        return all(
            distribution._contains(distribution.to_internal_repr(parameters[key]))
            for key, distribution in space.items()
        )
    except (KeyError, ValueError, TypeError):
        return False


def ended_trials(storage: JournalStorage, name: str) -> list[FrozenTrial]:
    """Trials that were measured, stopped early or failed, in the order they were proposed."""
    return [trial for trial in _proposed(storage, name) if trial.state.is_finished()]


def finished_trials(storage: JournalStorage, name: str) -> list[FrozenTrial]:
    """Measured trials of a search, in the order they were proposed."""
    study = optuna.load_study(study_name=name, storage=storage)
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def open_journal(folder: RunFolder) -> JournalStorage:
    """The search's memory; a damaged file is put aside: the cells refill it.

    The caller holds the folder's lock, so a lock file left by a killed driver can go.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = folder.path / JOURNAL
    Path(f"{path}.lock").unlink(missing_ok=True)
    try:
        if path.exists():
            _mend_last_line(path)
        storage = JournalStorage(JournalFileBackend(str(path)))
        for summary in optuna.get_all_study_summaries(storage):
            optuna.load_study(study_name=summary.study_name, storage=storage).get_trials()
        return storage
    except OSError:
        raise
    except Exception:  # replaying a damaged journal may raise anything
        folder.quarantine(path)
        return JournalStorage(JournalFileBackend(str(path)))


def _mend_last_line(path: Path) -> None:
    """Cuts off a last line that a killed driver or a full disk left unfinished."""
    content = path.read_bytes()
    whole, _, rest = content.rpartition(b"\n")
    if rest:
        write_whole(path, whole + b"\n" if whole else b"")
    for line in whole.splitlines():
        json.loads(line)


def num_ended(earlier: RunFolder | None, searches: Mapping[str, MakeCell]) -> dict[str, int]:
    """Trials of each search that ``--resume`` would not make again.

    Args:
        earlier: the run that it would continue; only read, since it may be running.
        searches: their names in its journal, and what turns parameters into cells.
    """
    none = dict.fromkeys(searches, 0)
    if earlier is None or not (journal := earlier.path / JOURNAL).exists():
        return none
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        trials = {name: ended_trials(storage, name) for name in searches}
    except Exception:  # replaying a damaged journal may raise anything
        return none
    return {
        name: sum(_is_there(earlier, trial, searches[name]) for trial in own)
        for name, own in trials.items()
    }


def _is_there(earlier: RunFolder, trial: FrozenTrial, cell: MakeCell) -> bool:
    """Whether a trial's result is that of the study as it stands."""
    try:
        return earlier.load_cell(cell(trial.params).id) is not None
    except (KeyError, LrrayError):  # proposed before the search space was changed
        return False
