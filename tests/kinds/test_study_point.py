"""The steps of a difficulty study, taken in this process: search, pairs, and what may fail."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lrray.config import parse
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.kinds.difficulty.plan import plan
from lrray.kinds.difficulty.point import PointSearch
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.runs.progress import Progress
from lrray.runs.run import phase_sources
from lrray.search.memory import Searches
from lrray.search.queue import Steps
from lrray.studies.cell import Cell
from lrray.studies.grid import GridPoint
from lrray.text import with_error
from tests.studies.driven import drive
from tests.studies.small_study import STUDY


def works(cell: Cell) -> bool:
    return True


def no_pair_works(cell: Cell) -> bool:
    return len(cell.settings["seeds"]) == STUDY["seeds"]


def run_point(
    folder: RunFolder,
    fine: Callable[[Cell], bool] = works,
    num_steps: int | None = None,
    **changes: Any,
) -> tuple[PointSearch, int]:
    """Runs a study's steps, or the first of them; returns it and how many cells were computed."""
    study = parse(DifficultyStudy, {**STUDY, **changes}, "study")
    point = PointSearch(
        GridPoint({}, study), folder, Searches(folder), lambda: 2, KnownCells.of(folder)
    )
    computed = 0

    def compute(cell: Cell) -> None:
        nonlocal computed
        if folder.load_cell(cell.id) is not None:
            return
        computed += 1
        if fine(cell):
            run_durably(cell, folder, Limits())
        else:
            folder.save_failure(cell, "ValueError: no", "…", 0.1)

    sources = (phase.source for phase in point.phases())
    drive(itertools.islice(sources, num_steps), compute)
    return point, computed


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "study")


def test_search_and_pairs_follow_each_other(folder: RunFolder) -> None:
    point, _ = run_point(folder)
    assert [pair.name for pair in point.pairs] == ["easy_to_infer", "easy_to_predict"]
    assert all(pair.within(point.study) for pair in point.pairs)
    assert len(point.rows()) == STUDY["search"]["num_trials"]
    assert list(point.surfaces) == ["mean"]


def test_a_second_run_computes_nothing_and_says_the_same(folder: RunFolder) -> None:
    first, _ = run_point(folder)
    again, computed = run_point(folder)
    assert computed == 0
    assert again.found_pairs(with_graph=False) == first.found_pairs(with_graph=False)
    assert again.rows() == first.rows()


def test_each_seed_has_its_own_search_and_pairs(folder: RunFolder) -> None:
    point, _ = run_point(folder, match="per_seed", seeds=[3, 5])
    assert [pair.seed for pair in point.pairs] == [3, 3, 5, 5]
    assert {row["seed"] for row in point.rows()} == {3, 5}
    assert list(point.surfaces) == ["seed-3", "seed-5"]


def test_a_trial_that_failed_is_left_out_and_counts(folder: RunFolder) -> None:
    calls = itertools.count()
    point, _ = run_point(folder, lambda cell: next(calls) != 1)
    assert len(point.rows()) == STUDY["search"]["num_trials"] - 1
    assert len(point.pairs) == 2


def test_pairs_whose_every_measurement_failed_are_no_result(folder: RunFolder) -> None:
    point, _ = run_point(folder, no_pair_works)
    assert point.pairs == []
    assert len(point.rows()) == STUDY["search"]["num_trials"]


def test_too_few_trials_give_no_pair(folder: RunFolder) -> None:
    point, computed = run_point(folder, search={"num_trials": 2})
    assert (point.pairs, computed) == ([], 2)


def test_more_pairs_can_be_asked_for_between_the_ends(folder: RunFolder) -> None:
    point, _ = run_point(folder, pairs={"num_seeds": 8, "max_rounds": 1, "along": 2})
    assert [pair.name for pair in point.pairs[2:]] == ["between_1", "between_2"]


@pytest.mark.parametrize(
    ("match", "seeds", "num_steps", "num_trials", "done", "draws_left"),
    [
        ("mean", [0, 1, 2, 3], 0, 10, 0, 10 * 4 + 2 * (4 + 8)),
        ("mean", [0, 1, 2, 3], 1, 10, 10, 2 * (4 + 8)),
        ("mean", [0, 1, 2, 3], 2, 10, 10, 2 * 8),  # their places are corrected
        ("mean", [0, 1, 2, 3], None, 10, 10, 0),
        ("mean", [0, 1, 2, 3], None, 14, 10, 4 * 4),
        ("mean", [0, 1, 2, 3], None, 6, 6, 0),
        ("per_seed", [3, 5], 1, 10, 20, 2 * 2 * (12 + 1)),
        ("per_seed", [3, 5], None, 10, 20, 0),
    ],
)
def test_a_plan_subtracts_what_an_earlier_run_measured(
    folder, monkeypatch, match, seeds, num_steps, num_trials, done, draws_left
) -> None:
    monkeypatch.setattr("lrray.kinds.difficulty.plan._draw_seconds", lambda study: 1.0)
    run_point(folder, num_steps=num_steps, match=match, seeds=seeds)
    more = parse(
        DifficultyStudy,
        {**STUDY, "match": match, "seeds": seeds, "search": {"num_trials": num_trials}},
        "study",
    )
    planned = plan([GridPoint({}, more)], folder, KnownCells.of(folder))
    assert (planned.rows["done already"], planned.cell_seconds) == (done, draws_left)
    other = parse(DifficultyStudy, {**STUDY, "seq_len": 128}, "study")
    assert plan([GridPoint({}, other)], folder, KnownCells.of(folder)).rows["done already"] == 0


def test_a_terminal_shows_the_best_pairs_so_far_and_the_time_left(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=StringIO(), force_terminal=True, width=100)
    with Progress(console, folder) as progress:
        study = parse(DifficultyStudy, STUDY, "study")
        point = PointSearch(
            GridPoint({}, study), folder, Searches(folder), lambda: 2, KnownCells.of(folder)
        )
        source = Steps(folder, phase_sources(point.phases(), progress))
        progress.begin(source)
        for trial in range(6):
            (cell,) = source.hand_out(f"{trial}") or ()
            run_durably(cell, folder, Limits())
            source.trial_ended(f"{trial}")
        shown = frame(console, "6/10")
    assert re.search(r"about \d+ s left", shown)
    rows = point.rows()
    for end, alpha in (("easy to infer", "alpha_X"), ("easy to predict", "alpha_Z")):
        best = min(rows, key=lambda row: row[alpha])
        (line,) = (line for line in shown.splitlines() if end in line)
        for number in (f"{best['alpha_X']:.4g}", f"{best['alpha_Z']:.4g}"):
            assert number in line
        assert with_error(best["difficulty"], best["difficulty_se"]) in line


def frame(console: Console, mark: str) -> str:
    """The newest picture of a live terminal that holds a mark, without its colours."""
    end = time.monotonic() + 60
    while True:
        drawn = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "\n", console.file.getvalue())
        pictures = drawn.split("searching the contour")
        found = [text for text in pictures if mark in text]
        if found:
            return "searching the contour" + found[-1]
        assert time.monotonic() < end, drawn
        time.sleep(0.05)


@pytest.mark.parametrize(("metric", "scored"), [("gzip", False), ("entropy_bits", True)])
def test_what_corrects_a_pairs_place_measures_the_target_alone(metric: str, scored: bool) -> None:
    made = parse(DifficultyStudy, {**STUDY, "target": {"metric": metric, "value": 0.35}}, "study")
    assert bool(made.size(purpose="correction").entropy_sequences) is scored
    assert made.size(purpose="pair").entropy_sequences == STUDY["entropy_sequences"]
