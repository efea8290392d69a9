"""What the terminal says of running cells, from the curves that they draw."""

import io
import time

import pytest
from rich.console import Console

from lrray.results.folder import RunFolder
from lrray.runs import progress as progress_module
from lrray.runs import progress as running_module
from lrray.runs.progress import Progress, RunningCells
from lrray.search.fixed import FixedCells
from lrray.studies.cell import Cell

CELLS = [Cell("function", {"x": x}, {"settings.rate": x, "seed": 0}, "code") for x in (1, 2)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(running_module, "LOOK_S", 0.0)
    return RunFolder(tmp_path)


def lines(folder, numbers=()):
    return RunningCells(folder, lambda: CELLS, numbers).lines()


def test_cells_without_curves_are_left_out(folder):
    assert lines(folder) == []
    folder.append_metrics(CELLS[1].id, {"step": 1, "loss": 0.5})
    assert lines(folder) == [("rate=2 seed=0", "step 1  loss 0.5")]


def test_every_number_is_the_newest_that_was_logged(folder):
    for step in range(2000):
        folder.append_metrics(CELLS[0].id, {"step": step, "loss": 1 / (step + 1)})
        if step % 100 == 0:
            folder.append_metrics(CELLS[0].id, {"step": step, "excess": float(step)})
    folder.append_metrics(CELLS[0].id, {"tokens_per_s": 12345.6})
    assert lines(folder, ("step", "excess", "tokens_per_s", "missing")) == [
        ("rate=1 seed=0", "step 1,999  excess 1,900  tokens_per_s 12,346")
    ]


def test_a_half_written_line_and_other_than_numbers_are_passed_over(folder):
    folder.append_metrics(CELLS[0].id, {"step": 3, "note": "text", "loss": 0.25})
    with (folder.path / "metrics" / f"{CELLS[0].id}.jsonl").open("a") as file:
        file.write('[1, 2]\n{"step": 4, "lo')
    assert lines(folder) == [("rate=1 seed=0", "step 3  loss 0.25")]


def test_a_long_cell_is_heard_of_between_two_ends(folder, monkeypatch):
    monkeypatch.setattr(progress_module, "LINE_S", 0.05)
    monkeypatch.setattr(progress_module, "QUIET_S", 0.1)
    source = FixedCells(folder, CELLS, slots=lambda: 1)
    console = Console(file=io.StringIO(), width=100)
    with Progress(console, folder) as progress:
        progress.phase("running cells", numbers=("loss",))
        progress.begin(source)
        source.hand_out("trial")
        folder.append_metrics(CELLS[0].id, {"step": 7, "loss": 0.125})
        end = time.monotonic() + 60
        while "loss 0.125" not in console.file.getvalue():
            assert time.monotonic() < end, console.file.getvalue()
            time.sleep(0.05)
    assert "running cells: 0 of 2" in console.file.getvalue()
    assert "  rate=1 seed=0  loss 0.125\n" in console.file.getvalue()
