"""Cells that earlier settings or code left in a run's folder count nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrray.kinds.difficulty.point import PointSearch
from lrray.reports.board.index import CellIndex
from lrray.reports.compare.comparison import compare
from lrray.reports.grid import report as grid_report
from lrray.reports.report import write_report
from lrray.results.folder import RunFolder
from lrray.results.groups import groups_of
from lrray.results.record import FAILED
from lrray.results.run import Run
from lrray.studies.cell import Cell
from tests.kinds.test_study_point import run_point
from tests.reports.runs import new_run
from tests.studies.driven import run_grid

SEEDS = {"seed": {"start": 0, "stop": 3}}
SPACE = {"settings.rate": {"distribution": "uniform", "low": 0.0, "high": 1.0}}
SEARCH = {"metric": "loss", "num_trials": 3, "sampler": "random"}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return new_run(tmp_path)


def losses(folder: RunFolder) -> list[float]:
    return [
        value
        for group in groups_of(Run(folder.path).wanted_records())
        for value in group.values("loss")
    ]


def changed(folder: RunFolder, first: dict[str, Any], then: dict[str, Any], most: int) -> None:
    """A whole run with some settings, then one with others that is lost after ``most`` cells."""
    assert run_grid(folder, **first) is not None
    assert run_grid(folder, most=most, **then) is None


def test_a_resumed_grid_counts_its_own_cells_alone_before_it_has_ended(folder: RunFolder) -> None:
    old, new = ({"settings": {"rate": rate}, "grid": SEEDS} for rate in (9, 1))
    changed(folder, old, new, most=2)
    assert losses(folder) == [1.0, 1.0]
    assert "2 cells done" in grid_report.answer(Run(folder.path))
    run_grid(folder, **old)  # back to the first settings: what they computed counts again
    assert losses(folder) == [9.0, 9.0, 9.0]


def test_a_resumed_search_leaves_out_trials_of_other_settings(folder: RunFolder) -> None:
    old, new = (
        {"search": SEARCH, "search_space": SPACE, "settings": {"other": other}}
        for other in ("a", "b")
    )
    changed(folder, old, new, most=2)
    assert len(losses(folder)) == 2
    run_grid(folder, **new)
    assert len(losses(folder)) == 3


def test_failures_of_other_settings_stand_neither_in_the_report_nor_on_the_board(
    folder: RunFolder,
) -> None:
    old = Cell("function", {"settings": {"rate": 9}, "seed": 0}, {"seed": 0}, "c0de")
    folder.save_failure(old, "ValueError: rate 9 is too large", "…", 0.1)
    summary = run_grid(folder, settings={"rate": 1}, grid=SEEDS)
    assert summary is not None
    assert (summary["done"], summary["failed"]) == (3, 0)
    assert "too large" not in write_report(folder.path)[0].read_text()
    index = CellIndex(Run(folder.path))
    index.refresh()
    assert index.counts == {"done": 3, "failed": 0, "damaged": 0, "running": 0}


def test_two_runs_are_compared_by_the_cells_of_their_present_settings(tmp_path: Path) -> None:
    one, other = new_run(tmp_path, "one"), new_run(tmp_path, "other")
    old, new = ({"settings": {"rate": rate}, "grid": SEEDS} for rate in (9, 2))
    changed(one, old, new, most=1)
    run_grid(other, settings={"rate": 1}, grid=SEEDS)
    (row,) = compare([f"one={one.path}", f"other={other.path}"]).paired.to_dict("records")
    assert (row["pairs"], row["difference"]) == (1, 1.0)


def test_a_difficulty_study_is_judged_by_its_present_trials_and_pairs(folder: RunFolder) -> None:
    def failed(point: PointSearch) -> int:
        folder.note_outdated(point.wanted())
        return sum(record.state == FAILED for record in Run(folder.path).wanted_records())

    point, _ = run_point(folder, lambda cell: False, num_steps=1, seeds=2)
    assert failed(point) == 10
    point, _ = run_point(folder)
    assert failed(point) == 0
    assert len(Run(folder.path).outdated()) == 10
