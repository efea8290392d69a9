"""Cells of twice the steps go on from those of half as many, and are what they would be anyway."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrray.config import dump_yaml
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.kinds.train.kind import Study
from lrray.results.curves import curve_of
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.results.record import DONE
from lrray.results.run import Run
from lrray.runs.grid import GridProgram
from lrray.studies.cell import Cell, make_cell
from lrray.studies.grid import GridPoint, expand
from tests.kinds.test_training_kind import PAIRS, TINY

GRID = {"train.steps": [24, 12], "seed": [0, 1]}


def points(**keys: Any) -> list[GridPoint]:
    train = {**TINY["train"], "eval_every": 6, **keys.pop("train", {})}
    return expand({**TINY, "pairs": PAIRS, "grid": GRID, **keys, "train": train}, Study, "f.yaml")


def new_folder(results: Path, **study: Any) -> RunFolder:
    folder = RunFolder.create(results, "tiny")
    folder.write_text("study.yaml", dump_yaml({"kind": "train", "grid": GRID, **study}))
    return folder


def run_in_order(folder: RunFolder, **keys: Any) -> list[Cell]:
    """Runs the cells as the driver hands them out; returns them in that order."""
    (phase,) = GridProgram(points(**keys), folder, lambda: 1, KnownCells.of(folder)).phases()
    cells = []
    while handed := phase.source.hand_out(f"{len(cells)}"):
        for cell in handed:
            record = run_durably(cell, folder, Limits())
            assert record.state == DONE, record
            cells.append(cell)
        phase.source.trial_ended(f"{len(cells) - len(handed)}")
    return cells


def numbers(folder: RunFolder, cell: Cell) -> dict[str, Any]:
    record = folder.load_cell(cell.id)
    assert record is not None
    return {name: value for name, value in record.result.items() if name != "tokens_per_s"}


@pytest.mark.parametrize(("schedule", "shared"), [("constant", 12), ("wsd", 9), ("cosine", None)])
def test_the_longer_cells_are_the_same_and_their_curves_whole(
    tmp_path: Path, schedule: str, shared: int | None
) -> None:
    own = {"schedule": schedule, "decay_share": 0.25}
    folder, alone = new_folder(tmp_path / "a"), RunFolder.create(tmp_path / "b", "tiny")
    cells = run_in_order(folder, train=own)
    steps = [cell.settings["train"]["steps"] for cell in cells]
    assert steps == ([24, 24, 12, 12] if shared is None else [12, 12, 24, 24])
    for cell in (cell for cell in cells if cell.settings["train"]["steps"] == 24):
        run_durably(cell, alone, Limits())
        assert numbers(folder, cell) == numbers(alone, cell)
        curves = [Run(one.path).metrics(cell.id) for one in (folder, alone)]
        for name in ("excess_bits", "kl_bits"):
            evaluated = [curve_of(points, name) for points in curves]
            assert [step for step, _ in evaluated[0]] == [6, 12, 18, 24]
            assert evaluated[0] == evaluated[1]
    assert not list((alone.path / "shared").glob("branches/*/step_*"))
    assert not list((folder.path / "shared").glob("branches/*/step_*"))  # nobody needs them now


def test_what_a_longer_cell_goes_on_from_is_kept_where_the_study_says_so(tmp_path: Path) -> None:
    for name, study, left in (("kept", {"keep_checkpoints": True}, 1), ("not", {}, 0)):
        folder = new_folder(tmp_path / name, **study, grid={"seed": [0]})
        (cell,) = run_in_order(folder, grid={"seed": [0], "train.steps": [12]})
        found = list((folder.path / "shared").glob("branches/*/step_0000000012"))
        assert len(found) == left
    more = new_folder(tmp_path / "more", keep_checkpoints=True)
    run_in_order(more, grid={"seed": [0], "train.steps": [12]})
    (cell,) = run_in_order(more, grid={"seed": [0], "train.steps": [24]})
    began = [point["step"] for point in Run(more.path).metrics(cell.id)]
    assert min(began) <= 6  # what the shorter cell logged
    checkpoint = list((more.path / "shared").glob("branches/*/step_*"))
    assert sorted(path.name for path in checkpoint) == ["step_0000000012", "step_0000000024"]


def test_what_other_code_left_is_not_gone_on_from(tmp_path: Path) -> None:
    """A model of the user's own may have been edited between the two lengths."""
    folder = new_folder(tmp_path, keep_checkpoints=True)
    short, long = (
        make_cell(point.study, point.axes)
        for point in points(grid={"seed": [0], "train.steps": [12, 24]})
    )
    run_durably(short, folder, Limits())
    edited = replace(long, code=f"{long.code} 0123456789abcdef")
    run_durably(edited, folder, Limits())
    left = [path.parent.name for path in folder.path.glob("shared/branches/*/step_*")]
    assert len(set(left)) == 2


def test_to_keep_them_is_no_part_of_a_cells_identity() -> None:
    kept, not_kept = (
        [make_cell(point.study, point.axes).id for point in points(keep_checkpoints=keep)]
        for keep in (True, False)
    )
    assert kept == not_kept
