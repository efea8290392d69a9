"""``summary.json``: what came out of a run, written anew only where something has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lrray
from lrray.results.folder import RunFolder
from lrray.results.record import FAILED, CellRecord
from lrray.results.run import Run
from lrray.search.program import Program
from lrray.studies.cell import digest
from lrray.studies.schema import StudyBase

_INPUTS = "inputs"
"""What stands in it for all that it was made from."""


def write_summary(
    study: StudyBase, program: Program, folder: RunFolder, seconds: float
) -> dict[str, Any]:
    """Writes what came out, as the study's kind tells it and with what all kinds have."""
    wanted = program.wanted()
    folder.note_outdated(wanted)
    records = [record for record in map(folder.load_cell, wanted) if record is not None]
    summary = {
        "study": folder.path.parent.name,
        "run": folder.path.name,
        "kind": study.kind,
        "question": study.question,
        "hypothesis": study.hypothesis,
        **program.results(records),
        "failed": sum(record.state == FAILED for record in records),
        "cell_seconds": float(sum(record.seconds for record in records)),
        "wall_seconds": seconds,
        _INPUTS: _inputs(study, records),
    }
    folder.write_json("summary.json", summary)
    return summary


def kept_summary(
    study: StudyBase, program: Program, folder: RunFolder, records: Sequence[CellRecord]
) -> dict[str, Any] | None:
    """The summary that is there, or None where it was made from anything else.

    Args:
        study: as it is now.
        program: works it off, and has found nothing left to run.
        folder: of the run.
        records: all that are in it.
    """
    found = {record.id: record for record in records}
    own = [found[cell_id] for cell_id in program.wanted() if cell_id in found]
    summary = Run(folder.path).summary
    return summary if summary.get(_INPUTS) == _inputs(study, own) else None


def _inputs(study: StudyBase, records: Sequence[CellRecord]) -> str:
    ended = sorted((record.id, record.state, record.finished_at) for record in records)
    return digest([lrray.__version__, study.model_dump(mode="json"), ended])
