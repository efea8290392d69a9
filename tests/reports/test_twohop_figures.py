"""Figures of two-hop studies show every setting, the gap itself, and how sure it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lrray.reports.content import Picture
from lrray.reports.run import Run
from lrray.reports.twohop import sections
from tests.reports.twohop_runs import EPOCHS, twohop_run

TASKS = {"apart": 0.02, "distractors": 0.37, "together": 1.22}


def picture_of(run: Run, name: str) -> Picture:
    (found,) = (p for section in sections(run) for p in section.pictures if p.name == name)
    return found


def band(axes: Axes) -> NDArray[np.float64]:
    """Height of the first band at every epoch."""
    corners = axes.collections[0].get_paths()[0].vertices
    return np.array([np.ptp(corners[corners[:, 0] == e, 1]) for e in range(EPOCHS + 1)])


def test_every_setting_has_its_own_row_of_curves(tmp_path: Path) -> None:
    panels = picture_of(twohop_run(tmp_path, TASKS), "curves").draw().axes
    assert len(panels) == 3 * len(TASKS)
    assert [axes.get_title(loc="left") for axes in panels[::3]] == [f"task={t}" for t in TASKS]
    for axes, gap in zip(panels[1::3], TASKS.values(), strict=True):
        line, zero = axes.lines
        assert line.get_ydata()[-1] == pytest.approx(gap, abs=0.15)
        assert list(zero.get_ydata()) == [0, 0]


def test_the_gap_is_paired_so_that_its_band_is_narrower_than_those_of_the_losses(
    tmp_path: Path,
) -> None:
    losses, gap, _ = picture_of(twohop_run(tmp_path, {"apart": 0.5}), "curves").draw().axes
    assert 0 < band(gap)[1:].mean() < band(losses)[1:].mean() / 2


def test_epochs_end_at_the_last_one(tmp_path: Path) -> None:
    for axes in picture_of(twohop_run(tmp_path, TASKS), "curves").draw().axes:
        assert axes.get_xlim() == (0, EPOCHS)
        assert axes.get_xticks()[-1] == EPOCHS


def test_of_many_settings_some_are_drawn_and_the_caption_says_so(tmp_path: Path) -> None:
    picture = picture_of(twohop_run(tmp_path, dict.fromkeys("abcdefgh", 0.5)), "curves")
    titles = [axes.get_title(loc="left") for axes in picture.draw().axes[::3]]
    assert (len(titles), titles[0], titles[-1]) == (6, "task=a", "task=h")
    assert picture.caption.endswith("; 6 of 8 settings are drawn")


def test_datasets_are_averaged_within_each_seed(tmp_path: Path) -> None:
    run = twohop_run(tmp_path, {"apart": 0.5}, seeds=2, datasets=("ships", "parks"))
    ends = [
        [point["gap_2hop"] for point in run.metrics(record["id"])][-1] for record in run.records()
    ]
    by_seed = {0: [], 1: []}
    for record, end in zip(run.records(), ends, strict=True):
        by_seed[record["settings"]["seed"]].append(end)
    means = [np.mean(own) for own in by_seed.values()]
    axes = picture_of(run, "curves").draw().axes[1]
    assert axes.lines[0].get_ydata()[-1] == pytest.approx(np.mean(means))
    assert band(axes)[-1] == pytest.approx(2 * np.std(means, ddof=1) / np.sqrt(2))
