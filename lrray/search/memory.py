"""The searches of a run, rebuilt from its cells whenever a driver starts.

The cells are the memory. Beside them only what no record can tell is kept: which proposals are
pending, and their order (:mod:`lrray.search.proposals`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.study import create_study
from optuna.trial import FrozenTrial, TrialState, create_trial

from lrray.errors import LrrayError
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells, MakeCell
from lrray.results.record import DONE, FAILED, STOPPED, CellRecord
from lrray.search.journal import new_journal, read_journal
from lrray.search.objective import Objective
from lrray.search.proposals import JOURNAL, PROPOSALS, Parameters, Proposals
from lrray.search.queue import OpenSearch
from lrray.search.samplers import Space, num_trials
from lrray.studies.cell import Cell, digest
from lrray.studies.schema import Search


@dataclass(frozen=True)
class Recalled:
    """What a run's folder knows about one search."""

    ended: list[tuple[Parameters, CellRecord]]
    """Measured, stopped or failed for good, in the order proposed."""
    pending: list[tuple[str, Parameters]]
    """Cell ids and parameters without an outcome."""


class Searches:
    """All searches of a run.

    Args:
        folder: the run's folder. Its journal is written anew once a search is opened.
        known: the cells that have ended there, and adopts results of other code; None: to be read.
    """

    def __init__(self, folder: RunFolder, known: KnownCells | None = None) -> None:
        self.folder = folder
        self._known = KnownCells.of(folder) if known is None else known
        self._groups: dict[tuple[str, ...], dict[str, list[str]]] = {}

    @cached_property
    def _journal(self) -> JournalStorage:
        for name, proposed in self._earlier.items():
            Proposals(self.folder, name).replace(("", parameters) for parameters in proposed)
        return new_journal(self.folder.path / JOURNAL)

    @cached_property
    def _earlier(self) -> dict[str, list[Parameters]]:
        """Proposals of a run that lrray 0.2.0 began: its journal alone knows them."""
        if (self.folder.path / PROPOSALS).exists():
            return {}
        trials = read_journal(self.folder.path / JOURNAL)
        return {
            name: [trial.system_attrs.get("fixed_params", trial.params) for trial in own]
            for name, own in trials.items()
        }

    @cached_property
    def _axes(self) -> dict[str, Mapping[str, Any]]:
        """Cell id -> axes of all cells that had ended at first, by the time they did."""
        records = sorted(self._known.records, key=lambda record: record.finished_at)
        return {record.id: record.axes for record in records}

    def open(
        self,
        name: str,
        search: Search,
        space: Space,
        objective: Objective,
        sampler: BaseSampler,
        lag: int | None = None,
    ) -> OpenSearch:
        """Begins or continues a search.

        A continued one ends with exactly its number of trials measured or failed for good: what
        is pending is proposed again, and a place that was proposed twice counts twice.

        Args:
            name: of the search in the run.
            search: the study's settings.
            space: what is proposed from.
            objective: what is measured, and how it is judged.
            sampler: proposes.
            lag: see :class:`lrray.search.queue.OpenSearch`.
        """
        study = create_study(storage=self._journal, sampler=sampler, study_name=name)
        objective = replace(objective, cell=self._known.adopting(objective.cell))
        recalled = self._recall(name, space, objective.cell)
        ids = []
        for parameters, record in recalled.ended:
            study.add_trial(_as_trial(parameters, record, space, objective))
            ids.append(record.id)
        remaining = max(0, num_trials(search, space) - len(ids))
        for _, parameters in recalled.pending[:remaining]:
            study.enqueue_trial(parameters)
        proposals = Proposals(self.folder, name)
        ended = zip(ids, (parameters for parameters, _ in recalled.ended), strict=True)
        proposals.replace([*ended, *recalled.pending])
        waiting = min(remaining, len(recalled.pending))
        return OpenSearch(name, study, space, objective, proposals, remaining, ids, waiting, lag)

    def recall(self, name: str, space: Space, cell: MakeCell) -> Recalled:
        """What is known about a search; only reads."""
        return self._recall(name, space, self._known.adopting(cell))

    def _recall(self, name: str, space: Space, cell: MakeCell) -> Recalled:
        known = Proposals(self.folder, name).load() or self._earlier.get(name, [])
        ended: list[tuple[Parameters, CellRecord]] = []
        pending, ids = dict[str, Parameters](), set[str]()
        for proposed in known:
            made = _made(cell, space, proposed)
            if made is None:  # the study asks for other places now
                continue
            parameters = {key: proposed[key] for key in space}
            ids.add(made.id)
            record = self.folder.load_cell(made.id)
            if record is None:
                pending[made.id] = parameters
            else:
                ended.append((parameters, record))
        for cell_id in self._own(space, cell):
            # Proposals that are lost: what was measured for them is not.
            if cell_id not in ids and (record := self.folder.load_cell(cell_id)) is not None:
                ended.append(({key: record.axes[key] for key in space}, record))
        return Recalled(ended, list(pending.items()))

    def _own(self, space: Space, cell: MakeCell) -> Iterator[str]:
        """Cells that this search proposes, known by their axes."""
        groups = self._grouped(tuple(sorted(space)))
        made = (_made(cell, space, self._axes[one]) for ids in groups.values() for one in ids)
        any_cell = next((one for one in made if one is not None), None)
        if any_cell is None:
            return
        for cell_id in groups.get(_rest(any_cell.axes, space), ()):
            made_anew = _made(cell, space, self._axes[cell_id])
            if made_anew is not None and made_anew.id == cell_id:
                yield cell_id

    def _grouped(self, names: tuple[str, ...]) -> dict[str, list[str]]:
        """Ended cells by their axes other than ``names``; hundreds of searches share the work."""
        if names not in self._groups:
            groups: dict[str, list[str]] = defaultdict(list)
            for cell_id, axes in self._axes.items():
                if set(names) <= set(axes):
                    groups[_rest(axes, names)].append(cell_id)
            self._groups[names] = groups
        return self._groups[names]


_STATES = {DONE: TrialState.COMPLETE, FAILED: TrialState.FAIL, STOPPED: TrialState.PRUNED}


def _as_trial(
    parameters: Parameters, record: CellRecord, space: Space, objective: Objective
) -> FrozenTrial:
    score = objective.score(record.result) if record.state == DONE else None
    undefined = score is not None and score.value != score.value
    trial = create_trial(
        state=TrialState.FAIL if undefined else _STATES[record.state],
        params=parameters,
        distributions=space,
        value=None if score is None or undefined else score.value,
        user_attrs={} if score is None else dict(score.numbers),
    )
    trial.datetime_start = datetime.fromtimestamp(record.finished_at - record.seconds)
    trial.datetime_complete = datetime.fromtimestamp(record.finished_at)
    return trial


def _made(cell: MakeCell, space: Space, parameters: Mapping[str, Any]) -> Cell | None:
    """The cell at ``parameters``, or None where the study as it stands does not go there."""
    try:
        if all(_lies_in(distribution, parameters[key]) for key, distribution in space.items()):
            return cell(parameters)
    except (KeyError, ValueError, TypeError, LrrayError):
        pass
    return None


def _lies_in(distribution: BaseDistribution, value: Any) -> bool:
    return distribution._contains(distribution.to_internal_repr(value))


def _rest(axes: Mapping[str, Any], names: Any) -> str:
    """A digest of the axes other than ``names``."""
    return digest({key: value for key, value in axes.items() if key not in names})
