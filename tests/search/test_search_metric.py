"""A search for a number that its cells do not return ends with a line that says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lrray.config import parse
from lrray.errors import LrrayError
from lrray.kinds.function import Study
from lrray.results.folder import RunFolder
from lrray.search.memory import Searches
from lrray.search.objective import objective
from lrray.search.queue import SearchedCells
from lrray.search.samplers import make_sampler

STUDY: dict[str, Any] = {
    "kind": "function", "question": "Which rate?", "hypothesis": "The least.",
    "function": "tests.studies.seeded_cells:remembers",
    "search_space": {"settings.rate": {"distribution": "uniform", "low": 0, "high": 1}},
}  # fmt: skip


def opened(folder: RunFolder, metric: str) -> SearchedCells:
    study = parse(Study, {**STUDY, "search": {"metric": metric, "num_trials": 3}}, "study.yaml")
    assert study.search is not None
    assert study.search_space is not None
    space, asked = study.search_space.to_optuna(), objective(study)
    sampler = make_sampler(study.search, space, 0.0)
    search = Searches(folder).open("search", study.search, space, asked, sampler)
    return SearchedCells(folder, [search])


@pytest.mark.parametrize(
    ("metric", "result", "hint"),
    [
        ("los", {"loss": 0.1, "name": "x"}, "but got 'los' (fix: did you mean 'loss'?)"),
        ("accuracy", {"loss": 0.1, "seen": 3}, "but got 'accuracy' (fix: known: loss, seen)"),
        ("loss", {"loss": None, "seen": 3}, "but got 'loss' (fix: known: seen)"),
    ],
)
def test_it_is_said_which_numbers_there_are_and_mending_it_goes_on(
    tmp_path: Path, metric: str, result: Mapping[str, Any], hint: str
) -> None:
    folder = RunFolder.create(tmp_path, "study")
    source = opened(folder, metric)
    (cell,) = source.hand_out("one") or ()
    folder.save_cell(cell, dict(result), 1.0)
    source.trial_ended("one")
    line = f"search.metric: must be a number that the cells return, {hint}"
    assert str(source.broken) == line
    assert source.hand_out("another") == []
    with pytest.raises(LrrayError) as resumed:
        opened(folder, metric)
    assert str(resumed.value) == line
    mended = opened(folder, "loss" if result["loss"] else "seen")
    assert mended.num_left == 2
