"""The contour's figure shows line and band apart, or says that the band is within the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from lrray.reports.difficulty.report import sections
from lrray.results.run import Run
from tests.reports.runs import new_run

SIZE = 61
ALPHA = np.geomspace(0.001, 1, SIZE)
ACROSS = np.linspace(0, 1, SIZE)
"""Difficulty grows with ln alpha_X alone, so that the level 0.5 is upright in the middle."""


def panel(results: Path, deviation: float) -> Axes:
    folder = new_run(results, "difficulty", kind="difficulty")
    middle = [[float(np.sqrt(0.001)), float(alpha)] for alpha in ALPHA]
    surface = {
        "alpha_X": ALPHA.tolist(), "alpha_Z": ALPHA.tolist(),
        "mean": np.tile(ACROSS, (SIZE, 1)).tolist(),
        "sd": np.full((SIZE, SIZE), deviation).tolist(),
        "contours": [{"points": middle, "half_width": [1.0] * SIZE}],
    }  # fmt: skip
    folder.write_json("contour.json", {"mean": surface})
    target = {"metric": "gzip", "value": 0.5, "tolerance": 0.01}
    summary = {"target": target, "pairs": [], "range": [0.0, 1.0], "match": "mean", "trials": 2}
    folder.write_json("summary.json", {**summary, "seeds_per_trial": 4})
    trials = "0,0.001,0.01,0.0,0.01,0.0,0.01\n1,1.0,0.1,1.0,0.01,1.0,0.01\n"
    names = "trial,alpha_X,alpha_Z,difficulty,difficulty_se,gzip,gzip_se\n"
    folder.write_text("trials.csv", names + trials)
    contour = sections(Run(folder.path))[0]
    return contour.pictures[0].draw().axes[0]


def label_of_line(axes: Axes) -> str:
    return next(text for line in axes.lines if (text := str(line.get_label())).startswith("gzip"))


@pytest.mark.parametrize("deviation", [0.005, 0.05])
def test_the_band_has_edges_where_the_level_leaves_its_interval(
    tmp_path: Path, deviation: float
) -> None:
    axes = panel(tmp_path, deviation)
    assert label_of_line(axes) == "gzip = 0.5, 95 % band"
    edges = np.log(axes.collections[-2].get_paths()[0].vertices[:, 0]) / np.log(0.001)
    ends = [0.5 - 1.96 * deviation, 0.5 + 1.96 * deviation]
    assert [edges.min(), edges.max()] == pytest.approx(ends, abs=1e-3)


@pytest.mark.parametrize("deviation", [0.0, 0.0005])
def test_a_band_narrower_than_the_line_is_said_to_be_within_it(
    tmp_path: Path, deviation: float
) -> None:
    assert label_of_line(panel(tmp_path, deviation)) == "gzip = 0.5, 95 % band within the line"
