"""Cells that differ in their steps alone: the longer one goes on from the shorter one's checkpoint.

Where the learning rate allows it (:func:`lrray.training.schedule.num_shared_steps`) the first steps
of both are the same, so nothing but time depends on whether such a checkpoint is there. It lies in
the run's folder in ``shared/branches/<digest>/``, by the code and all settings but the number of
steps.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from lrray.config import load_yaml
from lrray.errors import LrrayError
from lrray.files import write_whole
from lrray.results.curves import read_points
from lrray.studies.cell import digest
from lrray.studies.grid import axis_values
from lrray.studies.kind import CellContext
from lrray.training.branch import Branch
from lrray.training.config import TrainConfig
from lrray.training.schedule import num_shared_steps

_LENGTHS = ("steps", "tokens")


def order(settings: Mapping[str, Any]) -> float:
    """Shorter cells first, where longer ones can go on from them."""
    train = settings["train"]
    falls_all_the_way = train["schedule"] not in ("constant", "wsd")
    return 0.0 if falls_all_the_way else float(train.get("steps") or train.get("tokens") or 0)


def branch_of(
    settings: Mapping[str, Any], config: TrainConfig, context: CellContext, is_first: bool
) -> Branch | None:
    """Where a cell meets longer and shorter ones; None where it shares no steps with them.

    Args:
        settings: of the cell.
        config: of its training.
        context: of the cell.
        is_first: whether this is the first of the cell's workers.
    """
    # A seed of a cell that repeats several has its checkpoints elsewhere, and no curve of its own.
    if not num_shared_steps(config) or context.checkpoint.parent.name != "checkpoints":
        return None
    train = {name: value for name, value in settings["train"].items() if name not in _LENGTHS}
    family = digest({**settings, "train": train, "code": context.code})
    folder = context.shared / "branches" / family
    leave = _is_asked_to_leave(settings["train"], context)
    if leave and is_first:
        write_whole(folder / f"cell_{num_shared_steps(config)}", context.checkpoint.name)

    def log_earlier_points(step: int) -> None:
        """The curve begins with the one of the cell that did these steps."""
        try:
            cell_id = (folder / f"cell_{step}").read_text()
        except OSError:
            return
        for point in read_points(context.shared.parent / "metrics" / f"{cell_id}.jsonl"):
            if point.get("step", step + 1) <= step:
                context.log(point)

    return Branch(folder, leave, log_earlier_points)


def remove_shorter(branch: Branch, config: TrainConfig, context: CellContext) -> None:
    """Removes what this cell has gone on from, or could have, unless the study keeps it."""
    if _study(context).get("keep_checkpoints"):
        return
    for path in branch.folder.glob("step_*"):
        if int(path.name.removeprefix("step_")) < num_shared_steps(config):
            shutil.rmtree(path, ignore_errors=True)


def _is_asked_to_leave(train: Mapping[str, Any], context: CellContext) -> bool:
    """Whether the study keeps such checkpoints, or has a longer cell."""
    study = _study(context)
    grid = study.get("grid") or {}
    axes = [grid, *(grid.get("zip") or [])]
    for name in _LENGTHS:
        for axis in (own[f"train.{name}"] for own in axes if f"train.{name}" in own):
            if any(value > (train.get(name) or value) for value in axis_values(axis, name)):
                return True
    return bool(study.get("keep_checkpoints"))


def _study(context: CellContext) -> dict[str, Any]:
    """The running study; empty where there is none, as in a notebook."""
    try:
        return load_yaml(context.shared.parent / "study.yaml")
    except LrrayError:
        return {}
