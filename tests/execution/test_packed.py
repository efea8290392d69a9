"""Cells of one process: each has its record, its curve, its failures and its resume."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lrray.config import dump_yaml
from lrray.errors import LrrayError
from lrray.execution.attempts import Attempts, Limits
from lrray.execution.packed import can_share_a_process, run_packed
from lrray.execution.worker import run_durably
from lrray.results.curves import CurveFile
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, FAILED, CellRecord
from lrray.search.fixed import FixedCells
from lrray.studies.cell import Cell, make_cell
from lrray.studies.load import LoadedStudy, load_study
from lrray.tracking.follower import tracked
from lrray.training.stopping import Stopped
from tests.kinds.test_training_kind import PAIRS, TINY
from tests.studies.small_study import run

STUDY: dict[str, Any] = {
    **TINY,
    "grid": {"pair": ["easy_to_infer", "easy_to_predict"], "seed": [0, 1]},
    "resources": {"pack": 4},
    "train": {**TINY["train"], "log_every": 5, "eval_every": 10},
}


def loaded(folder: Path, *words: str) -> LoadedStudy:
    (folder / "pairs.yaml").write_text(dump_yaml(PAIRS))
    (folder / "tiny.yaml").write_text(dump_yaml(STUDY))
    return load_study(str(folder / "tiny.yaml"), words)


def cells(folder: Path, *words: str) -> list[Cell]:
    return [make_cell(point.study, point.axes) for point in loaded(folder, *words).points]


def together(
    folder: RunFolder, own: Sequence[Cell], limits: Limits | None = None
) -> list[CellRecord | None]:
    run_packed(own, folder, limits or Limits(max_failures=0), lambda run: tracked(run, folder))
    return [folder.load_cell(cell.id) for cell in own]


def numbers(record: CellRecord | None) -> dict[str, float]:
    assert record is not None
    assert record.state == DONE
    return {k: v for k, v in record.result.items() if k != "tokens_per_s"}


def test_packed_cells_leave_the_records_and_curves_that_cells_alone_leave(tmp_path: Path) -> None:
    own = cells(tmp_path)
    packed, alone = RunFolder.create(tmp_path, "packed"), RunFolder.create(tmp_path, "alone")
    for record, cell in zip(together(packed, own), own, strict=True):
        lone = run_durably(cell, alone, Limits(max_failures=0))
        assert record is not None
        assert record.id == lone.id
        assert numbers(record) == pytest.approx(numbers(lone), rel=1e-4, abs=1e-4)
        curves = [
            [(p["step"], p["train_loss_bits"]) for p in CurveFile(path).read_new()
             if "train_loss_bits" in p]
            for path in (f.path / "metrics" / f"{cell.id}.jsonl" for f in (packed, alone))
        ]  # fmt: skip
        assert [step for step, _ in curves[0]] == [5, 10, 15, 20]
        assert curves[0] == [(step, pytest.approx(loss, rel=1e-4)) for step, loss in curves[1]]
        assert (packed.path / "weights" / cell.id).is_dir()
        assert not list((packed.path / "attempts").glob("*"))


def test_a_cell_that_fails_is_recorded_and_the_others_are_done(tmp_path: Path) -> None:
    wild = cells(tmp_path, "grid.seed=[1]", "train.learning_rate=1e30")
    own = [*cells(tmp_path, "grid.seed=[0]"), *wild]
    folder = RunFolder.create(tmp_path, "packed")
    states = [record.state for record in together(folder, own) if record is not None]
    assert states == [DONE, DONE, FAILED, FAILED]
    failed = folder.load_cell(own[2].id)
    assert failed is not None
    assert "must be finite" in failed.reason


def test_a_cell_that_is_there_is_not_run_again_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    own = cells(tmp_path)
    folder = RunFolder.create(tmp_path, "packed")
    first = run_durably(own[0], folder, Limits(max_failures=0))
    records = together(folder, own)
    assert records[0] == first
    assert all(record is not None and record.state == DONE for record in records)


@pytest.mark.parametrize("first_packed", [True, False])
def test_stopped_cells_go_on_packed_or_alone(tmp_path: Path, first_packed: bool) -> None:
    own = cells(tmp_path, "train.steps=1500", "train.checkpoint_every=null")[:2]
    folder, limits = RunFolder.create(tmp_path, "stopped"), Limits(max_failures=0)
    first = own if first_packed else own[:1]

    def stop() -> None:
        while not all((folder.path / "metrics" / f"{cell.id}.jsonl").exists() for cell in first):
            time.sleep(0.01)
        folder.ask_to_stop(limits.driver)

    stopper = threading.Thread(target=stop)
    stopper.start()
    begin = partial(together, folder, own, limits)
    with pytest.raises(Stopped):
        begin() if first_packed else run_durably(own[0], folder, limits)
    stopper.join()
    assert [folder.load_cell(cell.id) for cell in own] == [None, None]
    kept = (folder.path / "checkpoints" / own[0].id / "checkpoints").glob("step_*")
    assert 0 < max(int(path.name.removeprefix("step_")) for path in kept) < 1500
    folder.forget_stop()
    if first_packed:
        records = [run_durably(cell, folder, Limits(max_failures=0)) for cell in own]
    else:
        records = together(folder, own)
    fresh = RunFolder.create(tmp_path, "whole")
    for record, cell in zip(records, own, strict=True):
        whole = run_durably(cell, fresh, Limits(max_failures=0))
        assert numbers(record)["loss_bits"] == pytest.approx(numbers(whole)["loss_bits"], abs=2e-3)
    steps = [p["step"] for p in CurveFile(folder.path / "metrics" / f"{own[0].id}.jsonl").read_new()
             if "train_loss_bits" in p]  # fmt: skip
    assert steps == sorted(set(steps))  # it went on where it was


def test_packed_cells_are_charged_their_share_of_the_time(tmp_path: Path) -> None:
    began = time.monotonic()
    records = together(RunFolder.create(tmp_path, "packed"), cells(tmp_path))
    charged = math.fsum(record.seconds for record in records if record is not None)
    assert 0 < charged <= time.monotonic() - began


def test_after_a_lost_process_its_cells_run_one_by_one(tmp_path: Path) -> None:
    own, limits = cells(tmp_path), Limits()
    folder = RunFolder.create(tmp_path, "packed")
    assert can_share_a_process(own, folder, limits)
    assert not can_share_a_process(own[:1], folder, limits)
    Attempts.read(folder, own[1].id, limits.driver).begin()  # and never ended
    assert not can_share_a_process(own, folder, limits)
    # Cells that ended with an earlier driver are not to blame.
    assert can_share_a_process(own, folder, Limits())
    Attempts.read(folder, own[1].id, limits.driver)
    assert not can_share_a_process(own, folder, Limits())


def test_a_pack_holds_cells_of_one_shape_and_leaves_some_for_every_slot(tmp_path: Path) -> None:
    axes = "seed: {start: 0, stop: 3}, model.hidden_size: [8, 16], train.learning_rate: [0.1, 0.2]"
    own = cells(tmp_path, f"grid={{{axes}}}")
    folder = RunFolder.create(tmp_path, "packed")

    def taken(slots: int, pack: int) -> list[list[Cell]]:
        source = FixedCells(folder, own, slots, pack)
        return list(iter(lambda: source.take("t"), []))

    packs = taken(slots=lambda: 1, pack=16)
    assert [len(one) for one in packs] == [6, 6]
    assert [{cell.settings["model"]["hidden_size"] for cell in one} for one in packs] == [{8}, {16}]
    assert [len(one) for one in taken(slots=lambda: 1, pack=4)] == [4, 2, 4, 2]
    assert [len(one) for one in taken(slots=lambda: 4, pack=4)][:2] == [3, 3]
    assert {cell.id for one in packs for cell in one} == {cell.id for cell in own}
    unpacked = taken(slots=lambda: 1, pack=1)
    assert [cell.id for one in unpacked for cell in one] == [cell.id for cell in own]


def test_packing_is_no_part_of_a_cell(tmp_path: Path) -> None:
    ids = [[cell.id for cell in cells(tmp_path, f"resources.pack={n}")] for n in (1, 4)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resources.workers=2"], "resources.pack: packs cells into one process, where workers"),
        (["resources.time_limit_s=9"], "where time_limit_s of each is not known, but got 4"),
        (["resources.memory_gb=1"], "where memory_gb of each is not known, but got 4"),
        (["model.type=gru"], "resources.pack: this model cannot be trained side by side"),
        (["train.compile=true"], "resources.pack: cells that are trained together are not"),
        (
            ["grid=null", "search={metric: loss_bits, num_trials: 2}",
             "search_space={train.learning_rate: {distribution: uniform, low: 0.1, high: 0.2}}"],
            "resources.pack: packs cells of a grid; a search proposes one after the other",
        ),
        (["resources.pack=0"], "resources.pack: must be greater than or equal to 1, but got 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_packed_is_refused_in_one_line(
    tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(LrrayError) as caught:
        loaded(tmp_path, *words).check(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_kinds_run_each_cell_alone(tmp_path: Path) -> None:
    with pytest.raises(LrrayError, match="a study of kind difficulty runs each of its cells alone"):
        load_study("difficulty", ["resources.pack=2"]).check(tmp_path)


@pytest.mark.slow  # starts Ray
def test_a_study_packs_its_cells(tmp_path: Path) -> None:
    loaded(tmp_path)
    ended = run(tmp_path, "tiny.yaml", "resources.max_concurrent=1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (folder,) = (tmp_path / "results" / "tiny").iterdir()
    (own, alone) = RunFolder(folder), RunFolder.create(tmp_path, "alone")
    for cell in cells(tmp_path):
        lone = run_durably(cell, alone, Limits(max_failures=0))
        assert numbers(own.load_cell(cell.id)) == pytest.approx(numbers(lone), rel=1e-3, abs=1e-3)
