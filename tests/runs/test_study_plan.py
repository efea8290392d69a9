"""Plans of searches over cells, and the time that a plan tells."""

from __future__ import annotations

import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lrray.kinds.function import Study
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.runs import plan as planning
from lrray.runs.plan import plan
from lrray.search.memory import Searches
from lrray.search.objective import objective
from lrray.search.queue import SearchedCells
from lrray.search.samplers import make_sampler
from lrray.studies.grid import GridPoint, expand
from lrray.studies.load import check_study
from lrray.studies.space import Range

BASE: dict[str, Any] = {
    "kind": "function",
    "question": "q",
    "hypothesis": "h",
    "function": "tests.studies.grid_cells:any_settings",
}


def searches(num_trials: int = 6, **settings: Any) -> list[GridPoint]:
    """A search at each of two grid points."""
    data = {
        **BASE,
        "settings": settings,
        "grid": {"settings.a": [1, 2]},
        "search_space": {"settings.x": {"distribution": "uniform", "low": 0.0, "high": 1.0}},
        "search": {"sampler": "random", "num_trials": num_trials, "metric": "num"},
    }
    return expand(data, Study, "f.yaml")


def run(folder: RunFolder, point: GridPoint, num_trials: int, fails: bool = False) -> None:
    """Runs the first trials of a point's search, four seconds each."""
    search, space = point.study.search, point.study.search_space.to_optuna()
    asked = objective(point.study, point.axes)
    sampler = make_sampler(search, space, 0.0)
    source = SearchedCells(
        folder, [Searches(folder).open(point.label, search, space, asked, sampler)]
    )
    for i in range(num_trials):
        (cell,) = source.take(str(i)) or ()
        if fails:
            folder.save_failure(cell, "ValueError: no", "…", 4.0)
        else:
            folder.save_cell(cell, {"num": 1.0}, seconds=4.0)
        source.ended(str(i), [folder.load_cell(cell.id)])


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "study")


def planned(points: list[GridPoint], folder: RunFolder) -> tuple[int, int, float | None]:
    made = plan(points, folder, KnownCells.of(folder))
    return made.rows["trials"], made.rows["done already"], made.cell_seconds


def test_trials_that_have_ended_are_not_planned_again(folder: RunFolder) -> None:
    assert planned(searches(), folder) == (12, 0, None)
    run(folder, searches()[0], 4)
    assert planned(searches(), folder) == (12, 4, 8 * 4.0)
    run(folder, searches()[1], 6)
    assert planned(searches(), folder) == (12, 10, 2 * 4.0)
    assert planned(searches(num_trials=3), folder) == (6, 6, 0.0)


def test_a_trial_that_failed_for_good_is_not_planned_again(folder: RunFolder) -> None:
    run(folder, searches()[0], 2, fails=True)
    assert planned(searches(), folder)[:2] == (12, 2)


def test_trials_of_other_settings_are_planned_again(folder: RunFolder) -> None:
    run(folder, searches()[0], 4)
    assert planned(searches(steps=10), folder)[:2] == (12, 0)


def test_trials_from_before_a_parameter_was_added_are_planned_again(folder: RunFolder) -> None:
    run(folder, searches()[0], 4)
    points = searches()
    for point in points:
        point.study.search_space.root["settings.y"] = point.study.search_space["settings.x"]
    assert planned(points, folder)[:2] == (12, 0)


def test_a_plan_writes_nothing(folder: RunFolder) -> None:
    """The run may be going on."""
    run(folder, searches()[0], 4)

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}

    before = files()
    assert planned(searches(), folder)[:2] == (12, 4)
    shutil.rmtree(folder.path / "proposals")
    assert planned(searches(), folder)[:2] == (12, 4)
    assert files() == {path: before[path] for path in before if path.parent.name != "proposals"}


def test_a_grid_that_is_exhausted_is_planned_to_end_then(folder: RunFolder) -> None:
    points = searches(num_trials=9)
    for point in points:
        object.__setattr__(
            point.study, "search", point.study.search.model_copy(update={"sampler": "grid"})
        )
        point.study.search_space.root["settings.x"] = Range(
            distribution="choice", values=("a", "b", "c")
        )
    assert planned(points, folder)[:2] == (6, 0)


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({}, "about 30 min 10 s on 4 cores"),
        ({"max_concurrent": 1}, "about 2 h 00 min on 4 cores, 1 cell at a time"),
        ({"max_concurrent": 3}, "about 40 min 10 s on 4 cores, 3 cells at a time"),
        ({"max_concurrent": 1, "cpu": 2}, "about 2 h 00 min on 4 cores, 1 cell at a time"),
        ({"max_concurrent": 9}, "about 30 min 10 s on 4 cores, 9 cells at a time"),
    ],
)
def test_the_time_here_knows_how_many_cells_run_at_once(monkeypatch, resources, told) -> None:
    monkeypatch.setattr(planning, "default_threads", lambda: 4)
    data = {**BASE, "resources": {"cell_minutes": 10, **resources}}
    study = check_study({**data, "grid": {"seed": list(range(12))}}, Path("f.yaml"))
    console = Console(file=StringIO(), width=100)
    planning.show_plan(study, None, console)
    (line,) = (x for x in console.file.getvalue().splitlines() if "estimated time here" in x)
    assert line.split("here")[1].strip() == told
