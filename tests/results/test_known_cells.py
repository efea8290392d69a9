"""Which results of other code count for the cells that a study asks for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells, hash_of_0_2_0, keep_codes
from lrray.studies.cell import Cell

TRAIN = Cell("train", {"model": {"type": "gru"}, "seed": 1}, {"seed": 1}, "results 1")
OLD = replace(TRAIN, code="0123456789abcdef")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "cells").mkdir()
    return RunFolder(tmp_path)


def known(folder: RunFolder, *cells: Cell) -> KnownCells:
    for cell in cells:
        folder.save_cell(cell, {"loss": 1.0}, 1.0)
    return KnownCells.of(folder)


def test_a_cell_without_any_result_stays_as_it_is(folder: RunFolder) -> None:
    assert KnownCells().adopt(TRAIN) is TRAIN
    cells = known(folder, replace(TRAIN, settings={"seed": 2}), replace(TRAIN, kind="twohop"))
    assert cells.adopt(TRAIN) is TRAIN
    assert not cells.superseded


def test_a_result_of_0_2_0_counts_and_lends_its_id(folder: RunFolder) -> None:
    adopted = known(folder, OLD).adopt(TRAIN)
    assert adopted.id == OLD.id
    record = folder.load_cell(adopted.id)
    assert record is not None
    assert record.result == {"loss": 1.0}


def test_the_wanted_code_comes_before_any_other(folder: RunFolder) -> None:
    assert known(folder, OLD, TRAIN).adopt(TRAIN) is TRAIN


def test_a_result_of_another_version_does_not_count_and_is_told(folder: RunFolder) -> None:
    cells = known(folder, replace(TRAIN, code="results 2"))
    assert cells.adopt(TRAIN) is TRAIN
    assert [record.code for record in cells.superseded.values()] == ["results 2"]


def test_results_of_0_2_0_do_not_count_once_the_numbers_of_a_kind_have_changed(
    folder: RunFolder,
) -> None:
    wanted = replace(TRAIN, code="results 2")
    cells = known(folder, OLD)
    assert cells.adopt(wanted) is wanted
    assert list(cells.superseded) == [wanted.id]


def test_results_of_0_2_0_do_not_count_for_a_model_of_the_users_own(folder: RunFolder) -> None:
    wanted = replace(TRAIN, code="results 1 0000000000000000")
    assert known(folder, OLD).adopt(wanted) is wanted


def test_a_function_of_0_2_0_counts_while_its_module_computes_the_same(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "measured_by_0_2_0.py"
    module.write_text("def measure(): return {}\n")
    settings = {"function": "measured_by_0_2_0:measure", "settings": {}, "seed": 0}
    old = Cell("function", settings, {}, hash_of_0_2_0("measured_by_0_2_0"))
    wanted = replace(old, code="results 1 0000000000000000")
    assert known(folder, old).adopt(wanted).id == old.id
    module.write_text("# the same\ndef measure():\n    '''So it is.'''\n    return {}\n")
    assert KnownCells.of(folder).adopt(wanted).id == old.id
    module.write_text("def measure(): return {'loss': 1}\n")
    assert KnownCells.of(folder).adopt(wanted) is wanted
    module.unlink()
    assert KnownCells.of(folder).adopt(wanted) is wanted


def test_what_is_kept_counts_whatever_its_code_and_later_edits_do_not(folder: RunFolder) -> None:
    of_edit_1, of_edit_2, wanted = (
        replace(TRAIN, settings={"seed": seed}, code=f"results 1 {edit}")
        for seed, edit in ((1, "aaaa"), (2, "bbbb"), (1, "cccc"))
    )
    assert known(folder, of_edit_1).adopt(wanted) is wanted
    keep_codes(folder)
    cells = known(folder, of_edit_2)
    assert cells.adopt(wanted).id == of_edit_1.id
    later = replace(of_edit_2, code=wanted.code)
    assert cells.adopt(later) is later
    keep_codes(folder)  # adds to what was kept before
    assert KnownCells.of(folder).adopt(wanted).id == of_edit_1.id
    assert KnownCells.of(folder).adopt(later).id == of_edit_2.id


@pytest.mark.parametrize("content", ["", "[]", '{"codes": 3}', "nonsense"])
def test_a_damaged_list_of_what_is_kept_keeps_nothing(folder: RunFolder, content: str) -> None:
    (folder.path / "kept.json").write_text(content)
    of_other_code = replace(TRAIN, code="results 7")
    assert known(folder, of_other_code).adopt(TRAIN) is TRAIN


def test_a_finished_result_comes_before_a_failure_and_the_newest_first(folder: RunFolder) -> None:
    failed, first, last = (replace(TRAIN, code=f"{digit}" * 16) for digit in range(3))
    known(folder, first, last)
    folder.save_failure(failed, "ValueError: it broke", "…", 1.0)
    assert KnownCells.of(folder).adopt(TRAIN).id == last.id
    for cell in (first, last):
        folder.remove(f"cells/{cell.id}.json")
    assert KnownCells.of(folder).adopt(TRAIN).id == failed.id


def test_settings_count_as_json_has_them(folder: RunFolder) -> None:
    old = replace(OLD, settings={"betas": (0.9, 0.99), "seed": 1})
    wanted = replace(TRAIN, settings={"seed": 1, "betas": [0.9, 0.99]})
    assert known(folder, old).adopt(wanted).id == old.id
    assert json.loads(folder.cell_path(old.id).read_text())["id"] == old.id
