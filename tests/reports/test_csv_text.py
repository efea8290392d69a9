"""Text that a spreadsheet would take for a formula is text in every CSV file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest

from lrray.reports.content import Table
from lrray.reports.tables import frame_to_csv, to_csv
from lrray.results.folder import RunFolder
from lrray.text import csv_value
from tests.studies.driven import run_grid

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_a_quote(text: str) -> None:
    assert csv_value(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-0.5", "+1e-3", "a=b", "", -2, 0.5, None, [1], "ü", "-inf"])
def test_everything_else_stays_as_it_is(value: object) -> None:
    assert csv_value(value) == value


def test_tables_and_frames_hold_no_formula() -> None:
    formulas = FORMULAS[:-1]
    rows = [{"=name": text, "loss": -0.5} for text in formulas]
    one = to_csv(Table(name="t", caption="c", rows=rows))
    two = frame_to_csv(pd.DataFrame(rows))
    for text in (one, two):
        head, *body = csv.reader(io.StringIO(text, newline=""))
        assert head == ["'=name", "loss"]
        assert [row[0] for row in body] == [f"'{given}" for given in formulas]
        assert {float(row[1]) for row in body} == {-0.5}


def test_cells_of_a_run_hold_no_formula(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "s")
    run_grid(folder, settings={"rate": 1}, grid={"settings.name": ["=1+1", "plain"]})
    table = pd.read_csv(folder.path / "cells.csv")
    assert sorted(table["settings.name"]) == ["'=1+1", "plain"]
