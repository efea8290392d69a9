"""Samplers of the user's own: checked before any work, and used like the shipped ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrray.config import parse
from lrray.errors import LrrayError
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.kinds.function import Study
from lrray.results.folder import RunFolder
from lrray.studies.schema import Search
from tests.reports.runs import new_run
from tests.studies.driven import BASE, run_grid
from tests.studies.small_study import STUDY

SAMPLERS = """
import numpy as np
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState


class NearTheBest(BaseSampler):
    def __init__(self, seed, step=0.2, num_startup=4):
        self.rng, self.random = np.random.default_rng(seed), RandomSampler(seed)
        self.step, self.num_startup = step, num_startup

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, name, distribution):
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(done) < self.num_startup:
            return self.random.sample_independent(study, trial, name, distribution)
        best = min(done, key=lambda trial: trial.value).params[name]
        value = best * np.exp(self.step * self.rng.standard_normal())
        return float(np.clip(value, distribution.low, distribution.high))


class OutOfBounds(NearTheBest):
    def sample_independent(self, study, trial, name, distribution):
        return 2 * distribution.high


class Unable(NearTheBest):
    def sample_independent(self, study, trial, name, distribution):
        raise RuntimeError("no idea")


def tpe_with_few_startup_trials(seed):
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, n_startup_trials=2)


def no_sampler():
    return 3
"""

SPACE = {"settings.rate": {"distribution": "log_uniform", "low": 0.01, "high": 10.0}}


@pytest.fixture(autouse=True)
def samplers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_samplers.py").write_text(SAMPLERS)
    yield
    sys.modules.pop("own_samplers", None)


def of_function(search: dict[str, Any]) -> None:
    full = {"metric": "loss", "num_trials": 8, **search}
    parse(Study, {**BASE, "search": full, "search_space": SPACE}, "study")


def of_difficulty(search: dict[str, Any]) -> None:
    parse(DifficultyStudy, {**STUDY, "search": search}, "study")


@pytest.mark.parametrize("check", [of_function, of_difficulty])
@pytest.mark.parametrize(
    ("search", "line"),
    [
        (
            {"sampler": "own_samplers:NearTheBist"},
            "study: search.sampler: own_samplers.py must define NearTheBist, but got "
            "'own_samplers:NearTheBist' (fix: did you mean 'NearTheBest'?)",
        ),
        (
            {"sampler": "own_samplers:no_sampler"},
            "study: search.sampler: own_samplers:no_sampler must be a sampler of Optuna's, but got "
            "'int' (fix: derive it from optuna.samplers.BaseSampler)",
        ),
        (
            {"sampler": "own_samplers:NearTheBest", "options": {"stepp": 1}},
            "study: search.options: own_samplers:NearTheBest takes no 'stepp' (fix: did you mean "
            "'step'?)",
        ),
        (
            {"sampler": "optuna.samplers:GridSampler"},
            "study: search.options: optuna.samplers:GridSampler needs 'search_space' "
            "(fix: search_space: …)",
        ),
        (
            {"sampler": "optuna.samplers:BruteForceSampler"},
            "study: search.sampler: optuna.samplers:BruteForceSampler proposes nothing: "
            "ValueError: FloatDistribution.step must be given for BruteForceSampler",
        ),
        (
            {"sampler": "own_samplers:Unable"},
            "study: search.sampler: own_samplers:Unable proposes nothing: RuntimeError: no idea "
            "(own_samplers.py:34) (fix: mend the sampler)",
        ),
        (
            {"sampler": "own_samplers:OutOfBounds"},
            "study: search.sampler: own_samplers:OutOfBounds must propose",
        ),
        (
            {"sampler": "random", "options": {"seed": 3}},
            "study: search.options: are those of a sampler of module:Class, but got {'seed': 3} "
            "(fix: sampler: optuna.samplers:TPESampler, say)",
        ),
    ],
)
def test_a_sampler_that_a_study_cannot_use_is_one_line_before_any_work(
    check: Any, search: dict[str, Any], line: str
) -> None:
    with pytest.raises(LrrayError) as caught:
        check(search)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("check", [of_function, of_difficulty])
@pytest.mark.parametrize(
    "search",
    [
        {"sampler": "own_samplers:NearTheBest", "options": {"step": 0.1}},
        {"sampler": "own_samplers:tpe_with_few_startup_trials"},
        {"sampler": "optuna.samplers:TPESampler", "options": {"multivariate": True}},
    ],
)
def test_samplers_of_ones_own_and_of_optunas_are_accepted(check: Any, search: Any) -> None:
    check(search)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return new_run(tmp_path)


def rates(folder: RunFolder) -> list[float]:
    cells = sorted(folder.cells(), key=lambda record: record.finished_at)
    return [record.axes["settings.rate"] for record in cells]


def search_with(sampler: str, num_trials: int = 12, **options: float) -> dict[str, Any]:
    search = {"sampler": sampler, "metric": "loss", "num_trials": num_trials, "options": options}
    return {"search": search, "search_space": SPACE}


def test_a_search_proposes_what_the_sampler_of_ones_own_says(folder: RunFolder) -> None:
    study = search_with("own_samplers:NearTheBest", step=0.01)
    assert run_grid(folder, **study) is not None
    found = rates(folder)
    assert len(found) == 12
    best = [min(found[:i]) for i in range(4, 12)]
    assert np.abs(np.log(np.array(found[4:]) / best)).max() < 0.05
    assert np.abs(np.log(np.array(found[:4]) / found[0])).max() > 0.5


def test_a_continued_search_makes_the_proposals_of_one_that_was_not_lost(
    folder: RunFolder, tmp_path: Path
) -> None:
    study = search_with("own_samplers:NearTheBest")
    assert run_grid(folder, most=7, **study) is None
    assert run_grid(folder, **study) is not None
    whole = new_run(tmp_path, "whole")
    run_grid(whole, **study)
    assert rates(folder) == rates(whole)
    assert len(set(rates(whole))) == 12


def test_a_cell_is_the_same_whoever_proposed_it() -> None:
    shipped, own = Search(sampler="tpe"), Search(sampler="own_samplers:NearTheBest")
    studies = [
        parse(Study, {**BASE, "search": {"metric": "loss", "sampler": search.sampler},
                      "search_space": SPACE}, "study")
        for search in (shipped, own)
    ]  # fmt: skip
    assert studies[0].cell_settings() == studies[1].cell_settings()
