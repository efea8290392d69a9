"""Figures of two-hop studies show every setting, the gap itself, and how sure it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lrray.reports.content import Picture
from lrray.reports.style import COLORS
from lrray.reports.twohop.numbers import adjusted_p_values, cells_of
from lrray.reports.twohop.report import sections
from lrray.results.run import Run
from lrray.statistics import summarize
from tests.reports.twohop_runs import CATEGORIES, EPOCHS, twohop_run

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
    ends = [[point["gap_2hop"] for point in run.metrics(record.id)][-1] for record in run.records()]
    by_seed = {0: [], 1: []}
    for record, end in zip(run.records(), ends, strict=True):
        by_seed[record.settings["seed"]].append(end)
    means = [np.mean(own) for own in by_seed.values()]
    axes = picture_of(run, "curves").draw().axes[1]
    assert axes.lines[0].get_ydata()[-1] == pytest.approx(np.mean(means))
    assert band(axes)[-1] == pytest.approx(2 * np.std(means, ddof=1) / np.sqrt(2))


def rows_of(run: Run) -> dict[str, tuple[list[float], bool]]:
    """Label of a row -> ends of its interval, and whether its dot is filled."""
    (axes,) = picture_of(run, "gaps").draw().axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert axes.get_ylim() == (len(names) - 0.5, -0.5)
    lines = [line for line in axes.lines if line.get_linestyle() == "-" and line.get_lw() == 1.5]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    return {
        name: (list(line.get_xdata()), dot.get_markerfacecolor() == dot.get_color())
        for name, line, dot in zip(names, lines, dots, strict=True)
    }


def test_gaps_that_may_be_none_are_hollow(tmp_path: Path) -> None:
    run = twohop_run(tmp_path, {"apart": 0.0, "together": 1.2}, people=60)
    findings = [finding for cells in cells_of(run) for finding in cells.findings]
    adjusted = adjusted_p_values(findings)
    rows = rows_of(run)
    assert {filled for _, filled in rows.values()} == {True, False}
    for finding, p_value in zip(findings, adjusted, strict=True):
        place = f"{finding.category}: universities {finding.attribute} {finding.cells.setting}"
        ends, filled = rows[place]
        assert ends == [finding.gap.low, finding.gap.high]
        assert filled == (p_value < 0.05 and not ends[0] <= 0 <= ends[1])


def test_the_interval_of_a_single_seed_is_over_its_people(tmp_path: Path) -> None:
    run = twohop_run(tmp_path, {"together": 1.2}, seeds=1)
    (record,) = run.records()
    over_people = summarize(record.result["gaps"]["city"])
    ends, _ = rows_of(run)["city: universities city task=together"]
    assert ends == [over_people.low, over_people.high]


def test_gaps_have_the_colour_of_their_setting(tmp_path: Path) -> None:
    (axes,) = picture_of(twohop_run(tmp_path, TASKS), "gaps").draw().axes
    colors = [line.get_color() for line in axes.lines if line.get_marker() == "o"]
    assert colors == [color for color in COLORS[:3] for _ in CATEGORIES]
