"""The report says whether doubling the steps changed the outcome, and claims no end point else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrray.reports.content import Section
from lrray.reports.report import write_report
from lrray.reports.train import report as train
from lrray.reports.train.convergence import doublings
from lrray.results.folder import RunFolder
from lrray.results.groups import groups_of
from lrray.results.run import Run
from lrray.studies.cell import Cell
from tests.reports.runs import new_run

PAIRS = ("easy_to_infer", "easy_to_predict")
CHANGES = {"easy_to_infer": -0.015, "easy_to_predict": -0.3}


def save(folder: RunFolder, pair: str, steps: int, seed: int, excess: float, **keys: Any) -> None:
    axes = {"pair": pair, "train.steps": steps, "seed": seed}
    own = {"steps": steps, "schedule": "cosine", "learning_rate": 0.1, **keys}
    cell = Cell("train", {"pair": pair, "seed": seed, "train": own, "compressors": []}, axes, "c")
    for share in (0.5, 1):
        folder.append_metrics(cell.id, {"step": steps * share, "excess_bits": excess / share})
    folder.save_cell(cell, {"excess_bits": excess, "excess_bits_se": 0.01}, 1.0)


def make_run(
    results: Path, lengths: tuple[int, ...] = (100, 200), seeds: int = 4, **keys: Any
) -> Run:
    """The excess changes with each doubling by what its pair's does, and a little noise."""
    folder = new_run(results, "latents", kind="train")
    for pair in PAIRS:
        for i, steps in enumerate(lengths):
            for seed in range(seeds):
                noise = float(np.random.default_rng([i, seed]).normal(0, 0.001))
                excess = 1 + 0.2 * seed + i * CHANGES[pair] + noise
                save(folder, pair, steps, seed, excess, **keys)
    return Run(folder.path)


def convergence(run: Run) -> Section:
    (section,) = (part for part in train.sections(run) if part.title == "Convergence")
    return section


def test_a_doubling_is_paired_by_seed_and_judged_by_its_mean_change(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    found = {one.axes["pair"]: one for one in doublings(run, groups_of(run.wanted_records()))}
    for pair, change in CHANGES.items():
        one = found[pair]
        assert (one.steps, one.more_steps, one.change.n) == (100, 200, 4)
        assert one.change.mean == pytest.approx(change, abs=0.002)
        assert one.change.standard_error < 0.002  # seeds differ by 0.2: only pairing shows it
        assert one.is_settled == one.is_sure == (pair == PAIRS[0])
    section = convergence(run)
    assert "less than 0.02 bits/token or 10 % in 1 of 2 settings" in section.text
    assert "No end point is claimed for pair=easy_to_predict (100 to 200 steps): -0.3" in (
        section.text
    )
    (table,) = section.tables
    assert [row["end point"] for row in table.rows] == ["yes", "no"]
    (picture,) = section.pictures
    (axes,) = picture.draw().axes
    assert len(axes.lines) == 2  # the curves of both lengths
    answer = train.answer(run)
    assert "No end point is claimed where doubling the steps still changed it: pair=easy_to_p" in (
        answer
    )
    assert "Convergence" in write_report(run.path)[0].read_text()


def test_a_tenth_of_a_large_excess_is_no_change(tmp_path: Path) -> None:
    folder = new_run(tmp_path, "latents", kind="train")
    for pair, change in ((PAIRS[0], 0.09), (PAIRS[1], 0.11)):
        for seed in range(3):
            save(folder, pair, 100, seed, 1.0)
            save(folder, pair, 200, seed, 1.0 - change)
    run = Run(folder.path)
    found = doublings(run, groups_of(run.wanted_records()))
    assert [one.is_settled for one in found] == [True, False]


def test_the_last_doubling_counts_and_shorter_steps_than_twice_are_none(tmp_path: Path) -> None:
    run = make_run(tmp_path, lengths=(50, 100, 150, 200))
    found = doublings(run, groups_of(run.wanted_records()))
    assert {(one.steps, one.more_steps) for one in found} == {(100, 200)}


def test_seeds_that_leave_a_larger_change_open_are_told(tmp_path: Path) -> None:
    folder = new_run(tmp_path, "latents", kind="train")
    for pair in PAIRS:
        for seed in range(4):
            save(folder, pair, 100, seed, 0.1)
            save(folder, pair, 200, seed, 0.1 + (0.1 if seed % 2 else -0.1))
    text = convergence(Run(folder.path)).text
    assert "in 2 of 2 settings" in text
    assert "In 2 of them the 95 % interval over seeds, or a single seed, leaves a larger" in text


def test_the_curve_of_a_constant_rate_has_a_doubling_of_its_own(tmp_path: Path) -> None:
    run = make_run(tmp_path, lengths=(100,), schedule="constant")
    (first, _) = doublings(run, groups_of(run.wanted_records()))
    assert (first.steps, first.more_steps) == (50, 100)
    assert first.change.mean == pytest.approx(-first.excess.mean / 2)
    assert not first.is_settled


def test_a_run_without_doublings_says_that_nothing_is_known(tmp_path: Path) -> None:
    run = make_run(tmp_path, lengths=(100,))
    section = convergence(run)
    assert section.text.startswith("No cell was trained for twice as many steps as another")
    assert not section.tables
    assert "end point" not in train.answer(run)


def test_a_run_of_one_pair_is_asked_as_well(tmp_path: Path) -> None:
    folder = new_run(tmp_path, "latents", kind="train")
    for steps in (100, 200):
        for seed in range(3):
            save(folder, PAIRS[1], steps, seed, 50 / steps)
    run = Run(folder.path)
    assert [row["end point"] for row in convergence(run).tables[0].rows] == ["no"]
    assert "No end point is claimed" in train.answer(run)
    assert write_report(run.path)[0].exists()


def test_settled_doublings_are_told_in_the_answer(tmp_path: Path) -> None:
    folder = new_run(tmp_path, "latents", kind="train")
    for pair in PAIRS:
        for seed in range(3):
            save(folder, pair, 100, seed, 0.5)
            save(folder, pair, 200, seed, 0.49)
    answer = train.answer(Run(folder.path))
    assert answer.endswith(
        "Doubling the steps changed the mean excess by less than 0.02 bits or 10 %."
    )
