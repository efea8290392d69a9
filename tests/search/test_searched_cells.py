"""Searches in turn: who proposes next, what an outcome means to a search, and when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from lrray.config import parse
from lrray.kinds.function import Study
from lrray.results.folder import RunFolder
from lrray.search.memory import Searches
from lrray.search.objective import Objective, Score, objective
from lrray.search.queue import OpenSearch, SearchedCells
from lrray.search.samplers import make_sampler, num_trials
from lrray.studies.cell import Cell
from lrray.studies.schema import Search
from tests.studies.driven import BASE, run_grid

CHOICES: dict[str, BaseDistribution] = {"c": CategoricalDistribution(("a", "b", "c"))}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "study")


def opened(folder: RunFolder, name: str = "one", space: Any = CHOICES, **search: Any) -> OpenSearch:
    """A search whose loss is what its cell gave; its cells are its own."""

    def cell(parameters: Mapping[str, Any]) -> Cell:
        settings = {"search": name, **{key: parameters[key] for key in space}}
        return Cell("function", settings, settings, "c0de")

    def score(result: Mapping[str, Any]) -> Score:
        return Score(float(result["loss"]), {"loss": float(result["loss"])})

    settings = Search.model_validate({"sampler": "random", **search})
    sampler = make_sampler(settings, space, 0.0)
    asked = Objective("loss", "minimize", cell, score)
    return Searches(folder).open(name, settings, space, asked, sampler)


def test_a_place_that_is_being_measured_waits_and_then_counts_again(folder: RunFolder) -> None:
    """Two workers must not write one checkpoint."""
    space = {"c": CategoricalDistribution(("only",))}
    source = SearchedCells(folder, [opened(folder, space=space, num_trials=3)])
    (cell,) = source.hand_out("first") or ()
    assert source.hand_out("second") is None
    assert source.num_left == 2
    folder.save_cell(cell, {"loss": 1.0}, 1.0)
    source.trial_ended("first")
    for trial in ("second", "third"):
        assert source.hand_out(trial) == [cell]
        source.trial_ended(trial)
    assert source.hand_out("fourth") == []
    assert len(source.searches[0].measured()) == 3


def test_another_search_goes_on_while_one_waits(folder: RunFolder) -> None:
    only, free = {"c": CategoricalDistribution(("only",))}, {"x": FloatDistribution(0, 1)}
    source = SearchedCells(
        folder,
        [
            opened(folder, "waits", only, num_trials=9),
            opened(folder, "free", free, num_trials=3),
        ],
    )
    names = [(source.hand_out(str(i)) or [None])[0] for i in range(5)]
    assert [cell.settings["search"] if cell else None for cell in names] == [
        "waits", "free", "free", "free", None,
    ]  # fmt: skip


def test_the_search_with_most_trials_left_comes_next(folder: RunFolder) -> None:
    free = {"x": FloatDistribution(0, 1)}
    searches = [opened(folder, name, free, num_trials=n) for name, n in (("a", 1), ("b", 3))]
    source = SearchedCells(folder, searches)
    cells = [(source.hand_out(str(i)) or ())[0] for i in range(4)]
    assert [cell.settings["search"] for cell in cells] == ["b", "b", "a", "b"]


def test_every_outcome_is_what_optuna_calls_it(folder: RunFolder) -> None:
    free = {"x": FloatDistribution(0, 1)}
    source = SearchedCells(folder, [opened(folder, space=free, num_trials=5)])
    source.has_scheduler = True
    cells = {name: (source.hand_out(name) or ())[0] for name in ("done", "nan", "failed")}
    folder.save_cell(cells["done"], {"loss": 0.5}, 1.0)
    folder.save_cell(cells["nan"], {"loss": "nan"}, 1.0)
    folder.save_failure(cells["failed"], "ValueError: no", "…", 1.0)
    for name in cells:
        source.trial_ended(name)
    source.hand_out("stopped")
    source.trial_ended("stopped")  # without a record: its scheduler ended it
    source.hand_out("lost")
    source.trial_ended("lost", lost=True)
    assert source.broken is None
    wanted = ["COMPLETE", "FAIL", "FAIL", "PRUNED", "FAIL"]
    assert [trial.state.name for trial in source.searches[0].study.trials] == wanted
    again = opened(folder, space=free, num_trials=5)
    assert [trial.state.name for trial in again.study.trials] == [*wanted[:4], "WAITING"]
    assert again.remaining == 1


def test_a_grid_ends_when_it_is_exhausted(folder: RunFolder) -> None:
    for _ in range(2):  # also once it is opened again
        search = opened(folder, sampler="grid", num_trials=9)
        source = SearchedCells(folder, [search])
        for i in range(9):
            cells = source.hand_out(str(i))
            if not cells:
                break
            folder.save_cell(cells[0], {"loss": 1.0}, 1.0)
            source.trial_ended(str(i))
        assert sorted(trial.params["c"] for trial in search.measured()) == ["a", "b", "c"]
    assert search.remaining == 0


def test_a_grid_of_ranges_has_as_many_points_as_are_asked_for() -> None:
    square = {name: FloatDistribution(0.1, 1.0, log=True) for name in "ab"}
    for wanted in (9, 10, 16):
        assert num_trials(Search(sampler="grid", num_trials=wanted), square) == wanted
    assert num_trials(Search(sampler="random", num_trials=9), CHOICES) == 9


def test_a_users_objective_is_a_number_like_any_other(folder: RunFolder) -> None:
    """The search minimises its metric, whatever else is called what."""
    space = {"settings.rate": {"distribution": "uniform", "low": 0.0, "high": 1.0}}
    result = {"loss": 0.25, "objective": 7.0, "difficulty": 3.0, "value": 2.0}
    for metric, mode, value in (("loss", "min", 0.25), ("objective", "max", -7.0)):
        search = {"metric": metric, "mode": mode, "num_trials": 2}
        study = parse(Study, {**BASE, "search": search, "search_space": space}, "study")
        score = objective(study).score(result)
        assert score.value == value
        assert dict(score.numbers) == result


def test_a_condition_without_a_result_is_told(folder: RunFolder) -> None:
    space = {"settings.rate": {"distribution": "uniform", "low": 0.0, "high": 1.0}}
    search = {"metric": "loss", "num_trials": 2, "sampler": "random"}
    summary = run_grid(folder, search=search, search_space=space, grid={"settings.a": [1, 2]})
    assert summary is not None
    assert summary["without_result"] == []
    for record in list(folder.cells()):
        if record.axes["settings.a"] == 2:
            cell = Cell(record.kind, record.settings, record.axes, record.code)
            folder.save_stopped(cell)
    summary = run_grid(folder, search=search, search_space=space, grid={"settings.a": [1, 2]})
    assert summary is not None
    assert summary["without_result"] == ["settings.a=2"]
    assert summary["done"] + summary["stopped"] == summary["cells"]
