"""The contour's figure shows line and band apart, or says that the band is within the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet

from lrray.difficulty.level_set import Bounds, LevelSet, startup_points
from lrray.reports.difficulty.report import sections
from lrray.results.run import Run
from tests.reports.runs import new_run

SIZE = 61
ALPHA = np.geomspace(0.001, 1, SIZE)
ACROSS = np.linspace(0, 1, SIZE)
"""Difficulty grows with ln alpha_X alone, so that the level 0.5 is upright in the middle."""


def upright(deviation: float) -> dict[str, Any]:
    """The picture of a level in the middle, known everywhere to the same deviation."""
    middle = [[float(np.sqrt(0.001)), float(alpha)] for alpha in ALPHA]
    return {
        "alpha_X": ALPHA.tolist(), "alpha_Z": ALPHA.tolist(),
        "mean": np.tile(ACROSS, (SIZE, 1)).tolist(),
        "sd": np.full((SIZE, SIZE), deviation).tolist(),
        "contours": [{"points": middle, "half_width": [1.0] * SIZE}],
    }  # fmt: skip


def panel(results: Path, surface: dict[str, Any]) -> Axes:
    folder = new_run(results, "difficulty", kind="difficulty")
    folder.write_json("contour.json", {"mean": surface})
    target = {"metric": "gzip", "value": 0.5, "tolerance": 0.01}
    point = {"axes": {}, "searches": ["mean"], "target": target, "match": "mean"}
    point |= {"seeds_per_trial": 4, "range": [0.0, 1.0]}
    folder.write_json("summary.json", {"points": [point], "pairs": [], "trials": 2})
    trials = "mean,0,0.001,0.01,0.0,0.01,0.0,0.01\nmean,1,1.0,0.1,1.0,0.01,1.0,0.01\n"
    names = "search,trial,alpha_X,alpha_Z,difficulty,difficulty_se,gzip,gzip_se\n"
    folder.write_text("trials.csv", names + trials)
    contour = sections(Run(folder.path))[0]
    return contour.pictures[0].draw().axes[0]


def label_of_line(axes: Axes) -> str:
    return next(text for line in axes.lines if (text := str(line.get_label())).startswith("gzip"))


@pytest.mark.parametrize("deviation", [0.005, 0.05])
def test_the_band_has_edges_where_the_level_leaves_its_interval(
    tmp_path: Path, deviation: float
) -> None:
    axes = panel(tmp_path, upright(deviation))
    assert label_of_line(axes) == "gzip = 0.5, 95 % band"
    edges = np.log(axes.collections[-2].get_paths()[0].vertices[:, 0]) / np.log(0.001)
    ends = [0.5 - 1.96 * deviation, 0.5 + 1.96 * deviation]
    assert [edges.min(), edges.max()] == pytest.approx(ends, abs=1e-3)


@pytest.mark.parametrize("deviation", [0.0, 0.0005])
def test_a_band_narrower_than_the_line_is_said_to_be_within_it(
    tmp_path: Path, deviation: float
) -> None:
    assert (
        label_of_line(panel(tmp_path, upright(deviation)))
        == "gzip = 0.5, 95 % band within the line"
    )


def searched(seed: int, noise: float, shared: float) -> LevelSet:
    """Measurements of a known slope, whose errors are alike where their alphas are near.

    Errors side by side have the correlation ``shared``, which falls with the distance in log units
    of alpha, as on real kernel draws. The level 0.5 is where the product of both alphas is 0.001.
    """
    bounds = Bounds((1e-3, 1e-3), (1.0, 1.0))
    rng, points = np.random.default_rng(seed), startup_points(bounds, 28, seed)
    true = 1 / (1 + np.exp(-1.2 * (np.log10(points).sum(axis=1) + 3)))
    apart = np.log(points)[:, None] - np.log(points)[None]
    common = shared * np.exp(-0.5 * (apart**2).sum(axis=2))
    errors = rng.multivariate_normal(
        np.zeros(len(points)), common + (1 - shared) * np.eye(len(points))
    )
    level_set = LevelSet(bounds, 0.5)
    values = true + noise * errors
    level_set.fit(points, values, np.full(len(points), noise))
    return level_set


def share_of_the_truth_in_the_drawn_band(axes: Axes) -> float:
    (band,) = (c for c in axes.collections if isinstance(c, ContourSet) and c.filled)
    along = np.geomspace(0.0011, 0.9, 200)
    truth = np.stack([along, 0.001 / along], axis=1)
    inside = np.zeros(len(truth), bool)
    for path in band.get_paths():
        inside ^= path.contains_points(truth)  # paths of one band hold its holes too
    return float(inside.mean())


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "shared"), [(0.005, 0.7), (0.02, 0.7), (0.01, 0.5), (0.01, 0)])
def test_the_drawn_band_covers_the_true_level_as_often_as_it_says(
    tmp_path: Path, noise: float, shared: float
) -> None:
    covered = []
    for seed in range(60):
        level_set = searched(seed, noise, shared)
        names = ("alpha_X", "alpha_Z", "mean", "sd")
        surface = dict(zip(names, (part.tolist() for part in level_set.surface(61)), strict=True))
        lines = [
            {"points": line.points.tolist(), "half_width": line.half_width.tolist()}
            for line in level_set.contours()
        ]
        axes = panel(tmp_path / str(seed), {**surface, "contours": lines})
        covered.append(share_of_the_truth_in_the_drawn_band(axes))
    error = np.std(covered, ddof=1) / np.sqrt(len(covered))
    assert np.mean(covered) > 0.95 - 2 * error
