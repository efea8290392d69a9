"""Results folders: nothing finished is lost, nothing damaged is believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrray.errors import LrrayError
from lrray.results.find import latest_run
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, FAILED
from lrray.results.run import Run
from lrray.studies.cell import Cell

CELL = Cell("function", {"rate": 0.1, "steps": 3}, {"rate": 0.1}, code="c0de")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "study")


def test_a_cell_reads_back_as_it_was_saved(folder: RunFolder) -> None:
    folder.save_cell(CELL, {"loss": 0.1 + 0.2, "curve": [1, 2.5], "note": "NaN is text here"}, 1.5)
    record = folder.load_cell(CELL.id)
    assert record is not None
    assert record.state == DONE
    assert record.seconds == 1.5
    assert record.settings == CELL.settings
    assert record.axes == CELL.axes
    assert record.result == {
        "loss": 0.1 + 0.2, "curve": [1, 2.5], "note": "NaN is text here"
    }  # fmt: skip
    assert [found.id for found in folder.cells()] == [CELL.id]


def test_numbers_that_json_lacks_are_null(folder: RunFolder) -> None:
    folder.save_cell(CELL, {"loss_se": float("nan"), "bound": float("inf")}, 0.0)
    record = folder.load_cell(CELL.id)
    assert record is not None
    assert record.result == {"loss_se": None, "bound": None}
    text = folder.write_json("summary.json", {"range": [float("nan"), 1.0]}).read_text()
    assert json.loads(text) == {"range": [None, 1.0]}


def test_a_failed_cell_keeps_one_line_and_its_traceback(folder: RunFolder) -> None:
    folder.save_failure(CELL, "ValueError: NaN in step 3", "Traceback …\nValueError", 2.0)
    record = folder.load_cell(CELL.id)
    assert record is not None
    assert record.state == FAILED
    assert record.reason == "ValueError: NaN in step 3"
    assert "Traceback" in (folder.path / "failures" / f"{CELL.id}.txt").read_text()


def damaged(content: bytes, how: str) -> bytes:
    if how == "truncated":
        return content[: len(content) // 2]
    if how == "empty":
        return b""
    if how == "zeros":
        return bytes(len(content))
    if how == "list":
        return b"[1, 2]"
    if how == "other id":
        return content.replace(CELL.id.encode(), b"0" * 16)
    if how == "no checksum":
        record = json.loads(content)
        del record["checksum"]
        return json.dumps(record).encode()
    assert how == "other number"
    return content.replace(b"0.125", b"0.126")


@pytest.mark.parametrize(
    "how",
    ["truncated", "empty", "zeros", "list", "other id", "no checksum", "other number"],
)
def test_a_damaged_cell_is_put_aside_and_not_believed(folder: RunFolder, how: str) -> None:
    folder.save_cell(CELL, {"loss": 0.125}, 1.0)
    path = folder.cell_path(CELL.id)
    content = damaged(path.read_bytes(), how)
    path.write_bytes(content)
    assert folder.load_cell(CELL.id) is None
    assert not path.exists()
    (kept,) = (folder.path / "quarantine").iterdir()
    assert kept.read_bytes() == content
    assert list(folder.cells()) == []
    folder.save_cell(CELL, {"loss": 0.125}, 1.0)  # computed again, it counts
    assert folder.load_cell(CELL.id) is not None


def test_a_cell_under_another_cells_name_is_put_aside(folder: RunFolder) -> None:
    folder.save_cell(CELL, {"loss": 0.125}, 1.0)
    folder.cell_path(CELL.id).rename(folder.cell_path("f" * 16))
    assert folder.load_cell("f" * 16) is None
    assert len(list((folder.path / "quarantine").iterdir())) == 1


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_flipped_bit_never_changes_a_result(folder: RunFolder, position: int, bit: int) -> None:
    folder.save_cell(CELL, {"loss": 0.125, "per_seed": [0.1, 0.15]}, 1.0)
    whole = folder.load_cell(CELL.id)
    path = folder.cell_path(CELL.id)
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1 << bit
    path.write_bytes(bytes(content))
    # A flip in white space or in the case of an exponent may leave the data as they were.
    assert folder.load_cell(CELL.id) in (None, whole)


def test_metrics_of_a_continued_cell_replace_those_it_repeats(folder: RunFolder) -> None:
    for step in (1, 2, 3):
        folder.append_metrics(CELL.id, {"step": step, "loss": 10 - step})
    with (folder.path / "metrics" / f"{CELL.id}.jsonl").open("a") as file:
        file.write('{"step": 4, "lo\n')  # a killed worker's last line
    folder.append_metrics(CELL.id, {"step": 3, "loss": 6.5})
    assert Run(folder.path).metrics(CELL.id) == [
        {"step": 1, "loss": 9}, {"step": 2, "loss": 8}, {"step": 3, "loss": 6.5}
    ]  # fmt: skip
    assert Run(folder.path).metrics("unknown") == []


def test_the_newest_run_with_settings_is_continued(tmp_path: Path) -> None:
    assert latest_run(tmp_path, "study") is None
    for name in ("20260101-000000-aaaa", "20260102-000000-aaaa", "20260103-000000-aaaa"):
        (tmp_path / "study" / name).mkdir(parents=True)
    for name in ("20260101-000000-aaaa", "20260102-000000-aaaa"):
        (tmp_path / "study" / name / "study.yaml").touch()
        (tmp_path / "study" / name / "cells").mkdir()
        (tmp_path / "study" / name / "cells" / "1.json").touch()
    newest = latest_run(tmp_path, "study")
    assert newest is not None
    assert newest.name == "20260102-000000-aaaa"


def test_a_place_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LrrayError, match=r"cannot be made: Not a directory \(fix: give another --"):
        RunFolder.create(tmp_path / "file", "study")
