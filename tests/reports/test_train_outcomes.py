"""What the report of a training study says beside the excess."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lrray.reports.content import Section
from lrray.reports.report import write_report
from lrray.reports.train import report as train
from lrray.reports.train.outcomes import kl_by_position
from lrray.results.groups import groups_of
from lrray.results.run import Run
from lrray.studies.cell import Cell
from tests.reports.runs import new_run

PAIRS = ("easy_to_infer", "easy_to_predict")
MEASURED = {
    "kl_by_position_bits/1": 0.1, "kl_by_position_bits/2-3": 0.2, "kl_by_position_bits/4-7": 0.4,
    "kl_bits": 0.3, "kl_bits_se": 0.01,
}  # fmt: skip


def make_run(results: Path, more: Callable[[str, int], dict[str, float]]) -> Run:
    folder = new_run(results, "latents", kind="train")
    for pair in PAIRS:
        for seed in range(3):
            axes = {"pair": pair, "seed": seed}
            cell = Cell("train", {**axes, "compressors": []}, axes, "c0de")
            for step in (10, 20):
                point = {"step": step, "excess_bits": 0.5, "share_captured": step / 40 + seed / 10}
                folder.append_metrics(cell.id, point)
            result = {"excess_bits": 0.5 + seed / 10, "loss_bits": 2.5, "bound_bits": 2.0}
            folder.save_cell(cell, {**result, **more(pair, seed)}, 1.0)
    return Run(folder.path)


def beside(run: Run) -> Section:
    (section,) = (part for part in train.sections(run) if part.title == "Beside the excess")
    return section


def test_outcomes_stand_in_a_table_and_in_figures(tmp_path: Path) -> None:
    run = make_run(
        tmp_path, lambda pair, seed: {**MEASURED, "share_captured": 0.5 + seed / 10,
                                      "share_beyond_trigram": -0.2, "late_loss_bits": 2.4},
    )  # fmt: skip
    section = beside(run)
    (table,) = section.tables
    assert [row["pair"] for row in table.rows] == list(PAIRS)
    for row in table.rows:
        assert row["share_captured"].mean == pytest.approx(0.6)
        assert row["kl_bits"].n == 3
    drawn = {picture.name: picture.draw() for picture in section.pictures}
    assert list(drawn) == [
        "share_captured", "share_beyond_trigram", "share_captured_curves", "kl_by_position",
    ]  # fmt: skip
    (axes,) = drawn["kl_by_position"].axes
    x, y = axes.containers[0].lines[0].get_xydata().T
    np.testing.assert_allclose(x, [1, 6**0.5, 28**0.5])
    np.testing.assert_allclose(y, [0.1, 0.2, 0.4])
    (axes,) = drawn["share_captured_curves"].axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.35, 0.6])
    assert section.text == ""
    html = write_report(run.path)[0].read_text()
    assert "Beside the excess" in html


def test_a_divergence_that_is_not_known_is_said_to_be_left_out(tmp_path: Path) -> None:
    run = make_run(
        tmp_path,
        lambda pair, seed: {"share_captured": 0.5, **(MEASURED if pair == PAIRS[0] else {})},
    )
    assert beside(run).text.startswith("No KL to the exact predictions for 1 of 2 settings")
    assert [len(kl_by_position(group)) for group in groups_of(run.wanted_records())] == [3, 0]


def test_a_last_step_that_is_worse_than_the_best_is_told(tmp_path: Path) -> None:
    def more(pair: str, seed: int) -> dict[str, float]:
        gap = 0.3 if pair == PAIRS[1] else 0.01
        return {**MEASURED, "best_step": 100, "best_excess_bits": 0.5 + seed / 10 - gap}

    text = beside(make_run(tmp_path, more)).text
    assert "In 1 of 2 settings the last step's excess is more than 0.02 bits above" in text
    assert "most with pair=easy_to_predict: 0.600 against 0.300 bits/token" in text


def test_runs_of_before_have_no_such_section(tmp_path: Path) -> None:
    titles = [part.title for part in train.sections(make_run(tmp_path, lambda pair, seed: {}))]
    assert "Beside the excess" not in titles
    assert "All numbers" in titles
