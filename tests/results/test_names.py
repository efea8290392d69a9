"""Names that users' functions give their numbers, and that lrray has too."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrray.reports.report import write_report
from lrray.results.folder import RunFolder
from lrray.results.groups import means_table
from lrray.results.tables import cell_table
from lrray.studies.cell import Cell
from tests.reports.runs import cell_of, new_run

OURS = (
    "state", "seconds", "id", "seed", "seeds", "step", "objective", "cells_done", "num", "kind",
    "result", "reason", "axes", "finished_at", "failed", "mean", "n", "value", "pair",
)  # fmt: skip
ODD = ("a$b", "$\\frac{", "<b>x</b>", "x" * 300, "a\nb", "é 名", "a/b", "..", "%", "_se", "")


def save(folder: RunFolder, names: tuple[str, ...], axis: str = "settings.rate") -> None:
    for rate in (0.1, 0.2):
        for seed in (0, 1):
            one = cell_of("gru", 8, seed)
            cell = Cell(one.kind, {**one.settings, "rate": rate}, {axis: rate, "seed": seed}, "c")
            for step in (1, 2):
                folder.append_metrics(cell.id, {"step": step, **dict.fromkeys(names, 7.0 + step)})
            folder.save_cell(cell, dict.fromkeys(names, 7.0 + rate), 1.0)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return new_run(tmp_path)


def test_a_number_of_the_users_takes_no_place_of_ours(folder: RunFolder) -> None:
    save(folder, OURS)
    records = list(folder.cells())
    table = cell_table(records)
    assert set(table["state"]) == {"done"}
    assert set(table["seed"]) == {0, 1}
    for name in ("state", "seconds", "id", "seed"):
        assert set(table[f"result.{name}"]) == {7.1, 7.2}
    assert {"objective", "step", "kind"} <= set(table.columns)
    means = means_table(records)
    assert list(means["seeds"]) == [2, 2]
    assert sorted(means["result.seeds"]) == sorted(means["objective"]) == [7.1, 7.2]


@pytest.mark.parametrize(
    ("axis", "names"),
    [
        *((axis, (*OURS, *ODD)) for axis in ("settings.rate", "settings.$a_{", "settings.<b>")),
        *(("settings.rate", (name,)) for name in ODD if name != "_se"),
    ],
)
def test_a_report_takes_any_name(folder: RunFolder, axis: str, names: tuple[str, ...]) -> None:
    save(folder, names, axis)
    page, *figures = write_report(folder.path)
    text = page.read_text()
    assert "<b>x</b>" not in text
    assert "settings.<b>" not in text
    assert figures
    assert all(figure.resolve().is_relative_to(folder.path) for figure in figures)
