"""Brackets in questions, axes, paths and reasons are shown as they are, and lists may be axes."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from lrray.cli.app import app
from lrray.config import dump_yaml
from lrray.reports.compare.comparison import Comparison
from lrray.reports.compare.output import show_comparison
from lrray.results.folder import RunFolder
from lrray.runs.grid import GridProgram
from lrray.runs.plan import show_plan
from lrray.runs.progress import Progress
from lrray.runs.show import show
from lrray.studies.load import check_study
from tests.studies.driven import BASE, run_grid

QUESTION = "Does the loss [bits/token] fall below [/b]?"


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=120)


def said(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_axes_of_lists_have_means_over_seeds_and_are_shown(
    tmp_path: Path, console: Console
) -> None:
    layers, rates = [[8, 8], [16]], [[1, 2], "[b]"]
    grid = {"settings.layers": layers, "settings.name": rates, "seed": [0, 1]}
    summary = run_grid(RunFolder.create(tmp_path, "s"), settings={"rate": 1}, grid=grid)
    assert summary is not None
    assert [row["settings.layers"] for row in summary["means"]] == [[8, 8], [8, 8], [16], [16]]
    assert {(row["seeds"], row["loss"]) for row in summary["means"]} == {(2, 1.0)}
    show(summary, console)
    assert GridProgram.is_complete(summary)
    assert "[8, 8]" in said(console)
    assert "[b]" in said(console)


@pytest.mark.parametrize("reason", ["OSError: cannot open [/data/x.h5]", "loss [bits/token]"])
def test_why_a_cell_failed_is_shown_word_for_word(console: Console, reason: str) -> None:
    failures = [{"axes": {"settings.layers": ["/a"]}, "id": "x", "reason": reason}]
    summary = {"means": [], "stopped": 0, "done": 0, "cells": 1, "failures": failures}
    summary |= {"best": [], "without_result": []}
    show(summary, console)
    assert not GridProgram.is_complete(summary)
    assert f"failed settings.layers=['/a']: {reason}" in said(console)


def test_the_best_of_each_condition_is_shown_with_how_its_trials_ended(console: Console) -> None:
    counts = {"metric": "loss", "stopped": 1, "failed": 2}
    best = [
        {"condition": "width=8", "value": 0.25, "settings": {"s.rate": 0.1}, "done": 3, **counts},
        {"condition": "width=[b]", "done": 0, **counts},
    ]
    show({"means": [], "best": best, "stopped": 0, "done": 3, "cells": 9, "failures": [],
          "without_result": []}, console)  # fmt: skip
    lines = [line.split() for line in said(console).splitlines()]
    assert ["width=8", "0.25", "rate=0.1", "3", "1", "2"] in lines
    assert ["width=[b]", "–", "0", "1", "2"] in lines


def test_a_plan_and_its_progress_show_brackets(tmp_path: Path, console: Console) -> None:
    study = check_study({**BASE, "question": QUESTION}, Path("f.yaml"))
    show_plan(study, None, console)
    assert QUESTION in said(console)
    with Progress(console, RunFolder(tmp_path)) as progress:
        progress.phase("path=[/data/x] searching")
    assert "path=[/data/x] searching" in said(console)


def test_series_with_brackets_are_compared(console: Console) -> None:
    series = {"series": "layers=[/8]", "searches": 1, "evaluations": 3, "best": 1.0, "seconds": 2.0}
    table = pd.DataFrame([{**series, "best_se": 0.1, "seconds_se": 0.1}])
    empty = pd.DataFrame()
    show_comparison(Comparison(empty, empty, table, empty, "loss", "minimize", "[/x]"), console)
    assert "layers=[/8]" in said(console)
    assert "distance to [/x]" in said(console)


def test_the_command_shows_a_question_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "bracketed.yaml"
    path.write_text(dump_yaml({**BASE, "question": QUESTION}))
    shown = CliRunner().invoke(app, ["study", str(path), "--plan"])
    assert QUESTION in shown.output
