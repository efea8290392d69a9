"""Comparisons, against oracles and on small real searches."""

import io
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from runs import cell_of, fill, new_run
from searches import SMALL, grid_of_cells, search
from typer.testing import CliRunner

from lrray.cli.app import app
from lrray.errors import LrrayError
from lrray.reports.compare.by_axis import compare_by
from lrray.reports.compare.comparison import _errors_at, compare
from lrray.reports.compare.contour_error import checkpoints, contour_of, distance
from lrray.reports.compare.figure import _over_seconds
from lrray.reports.compare.output import show_comparison
from lrray.reports.compare.traces import ALPHAS, _axes, _contour_task, read_traces
from lrray.statistics import paired_difference
from lrray.tracking.wandb_files import find_runs, read_run

NUM_TRIALS = 12


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> dict[str, Path]:
    results = tmp_path_factory.mktemp("results")
    return {
        sampler: search(results, sampler, [0, 1], NUM_TRIALS).path
        for sampler in ("level_set", "random")
    }


@pytest.fixture(scope="module")
def agent_runs(tmp_path_factory) -> Path:
    """Offline W&B runs of sweep trials, as ``wandb agent`` would leave them."""
    folder = tmp_path_factory.mktemp("agent")
    # One process for all three: each would spend its time on imports.
    program = (
        "from lrray.sweeps.agent import evaluate\n"
        "for alpha_X in (0.01, 0.1, 0.5):\n"
        f"    evaluate('difficulty_single', {SMALL} + [f'alpha_X={{alpha_X}}', 'alpha_Z=0.1'])"
    )
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(folder)}
    command = [sys.executable, "-c", program]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return folder


def test_the_distance_of_two_lines_is_how_far_they_lie_apart():
    x = np.linspace(-4, 0, 50)
    low, high = np.stack([x, x * 0], axis=1), np.stack([x, x * 0 + 0.3], axis=1)
    assert distance(low, high) == pytest.approx(0.3)
    assert distance(low, low) == 0
    # One half misses the other: 0 one way; 25, 24, … steps for half of the points the other way.
    assert distance(low, low[25:]) == pytest.approx(sum(range(26)) * (4 / 49) / 50 / 2)
    assert math.isnan(distance(low, low[:0]))


def test_contours_are_estimated_at_few_numbers_of_trials_and_the_last():
    assert checkpoints(18) == [8, 12, 16, 18]
    assert checkpoints(7) == []


def test_a_search_is_read_as_it_was_proposed(searched):
    first, second = read_traces(str(searched["random"]))
    assert (first.match, second.match) == ("search.seed=0", "search.seed=1")
    assert len(first) == NUM_TRIALS
    values = (first.trials["difficulty"] - 0.85).abs()
    assert first.trials["value"].to_numpy() == pytest.approx(values.to_numpy())
    assert first.best()[-1] == values.min()
    assert (np.diff(first.best()) <= 0).all()
    assert (np.diff(first.seconds()) > 0).all()


def test_names_of_searches_give_their_grid_points():
    settings = {"grid": {"search.sampler": ["tpe", "random"], "search.seed": [1, 10]}}
    names = ["search.sampler=tpe search.seed=1 mean", "search.sampler=tpe search.seed=10 seed-3"]
    axes = _axes(settings, names)
    assert axes[names[0]] == {"search.sampler": "tpe", "search.seed": 1}
    assert axes[names[1]] == {"search.sampler": "tpe", "search.seed": 10, "seed": "3"}
    assert _axes({}, ["mean", "seed-4"]) == {"mean": {}, "seed-4": {"seed": "4"}}


def test_two_runs_are_compared_seed_by_seed(searched):
    comparison = compare([f"{name}={path}" for name, path in searched.items()])
    assert comparison.series["series"].tolist() == ["level_set", "random"]
    assert comparison.series["searches"].tolist() == [2, 2]
    best = {name: [t.best()[-1] for t in read_traces(str(p))] for name, p in searched.items()}
    expected = paired_difference(best["level_set"], best["random"])
    by_study = compare([f"{name}={path.parent}" for name, path in searched.items()])
    assert by_study.curves.equals(comparison.curves)
    row = comparison.paired.set_index("number").loc["best"]
    assert (row["a"], row["b"], row["pairs"]) == ("level_set", "random", 2)
    assert row["difference"] == expected.difference.mean
    assert row["p"] == row["p_holm"] == expected.p_value
    assert len(comparison.curves) == 4 * NUM_TRIALS
    assert "48 places" in comparison.reference  # no search takes another's cells for its own
    assert comparison.contour_errors["contour_error"].notna().any()


def test_a_run_has_no_error_against_its_own_contour(searched, tmp_path):
    single = search(tmp_path, "random", [0], NUM_TRIALS).path
    comparison = compare([str(single)], reference=str(single))
    errors = comparison.contour_errors.set_index("evaluations")["contour_error"]
    assert errors[NUM_TRIALS] == 0
    (trace,) = read_traces(str(single))
    early = contour_of(trace.trials.head(8), trace.task)
    assert errors[8] == pytest.approx(distance(early, contour_of(trace.trials, trace.task)))


def test_runs_of_a_sweep_stand_beside_a_study(searched, agent_runs):
    (trace,) = read_traces(str(agent_runs))
    assert trace.trials["alpha_X"].tolist() == [0.01, 0.1, 0.5]
    assert trace.trials["value"].tolist() == pytest.approx(
        (trace.trials["difficulty"] - 0.85).abs().tolist()
    )
    comparison = compare([f"mine={searched['random']}", f"sweep={agent_runs}"])
    assert comparison.series["series"].tolist() == ["mine", "sweep"]
    assert comparison.series["evaluations"].tolist() == [3, 3]


def test_w_and_b_runs_can_be_judged_by_another_number(agent_runs):
    (trace,) = read_traces(str(agent_runs), "difficulty", "maximize")
    assert trace.best()[-1] == trace.trials["difficulty"].max()


def test_the_command_writes_tables_figure_and_a_w_and_b_run(searched, tmp_path):
    out = tmp_path / "out"
    words = ["compare", *map(str, searched.values()), "--out", str(out), "--wandb", "offline"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "contour error: mean distance to the contour of" in done.output
    for name in ("compare.png", "compare.pdf", "curves.csv", "contour_errors.csv", "paired.csv"):
        assert (out / name).stat().st_size > 0
    assert len(pd.read_csv(out / "curves.csv")) == 4 * NUM_TRIALS
    run = read_run(find_runs(out)[0])
    assert run.job_type == "compare"
    assert {"curves", "paired", "compare"} <= {name.split(".")[0] for name in run.summary}


def curve(seconds: list[float], best: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"seconds": seconds, "best": best})


def test_means_over_seconds_are_over_the_time_that_all_searches_run():
    parts = [curve([1, 3, 5], [0.5, 0.3, 0.1]), curve([2, 4, 9], [0.8, 0.4, 0.2])]
    times, rows = _over_seconds(parts)
    assert (times[0], times[-1]) == (2, 5)
    assert rows[:, 0].tolist() == [0.5, 0.8]
    assert rows[:, -1].tolist() == [0.1, 0.4]
    assert (np.diff(rows.mean(axis=0)) <= 0).all()


def test_searches_that_never_run_at_one_time_have_no_mean_over_seconds():
    times, rows = _over_seconds([curve([1, 3], [0.5, 0.3]), curve([4, 5], [0.9, 0.8])])
    assert (times.shape, rows.shape) == ((0,), (2, 0))


def test_a_target_that_is_an_axis_is_each_searchs_own():
    space = {name: {"low": 1e-3, "high": 1.0} for name in ALPHAS}
    settings = {"search_space": space, "target": {"metric": "gzip", "value": 0.7}}
    tasks = [_contour_task(settings, axes) for axes in ({}, {"target.value": 0.8})]
    assert [task.target for task in tasks] == [0.7, 0.8]
    assert {task.metric for task in tasks} == {"gzip"}


def test_cells_of_two_grids_are_paired_by_their_axes(tmp_path):
    first = {seed: {"loss": 1.0 + seed, "loss_se": 0.1} for seed in range(4)}
    second = {seed: {"loss": 0.5 + 2 * seed} for seed in range(1, 6)}
    folders = [grid_of_cells(tmp_path, "a", first), grid_of_cells(tmp_path, "b", second)]
    (row,) = compare([str(folder.path) for folder in folders]).paired.to_dict("records")
    expected = paired_difference([2.0, 3.0, 4.0], [2.5, 4.5, 6.5])
    assert (row["number"], row["pairs"]) == ("loss", 3)
    assert row["difference"] == expected.difference.mean
    assert (row["bootstrap_low"], row["bootstrap_high"]) == expected.bootstrap
    assert row["p"] == expected.p_value


def test_the_values_of_an_axis_are_compared_over_cells_that_agree_in_all_others(tmp_path):
    folder = new_run(tmp_path)
    fill(folder, sizes=(4, 8, 16), seeds=4)
    paired = compare_by(str(folder.path), "hidden_size").paired
    loss = paired[paired["number"] == "loss"]
    assert list(zip(loss["a"], loss["b"], strict=True)) == [
        ("hidden_size=8", "hidden_size=4"), ("hidden_size=16", "hidden_size=4"),
        ("hidden_size=16", "hidden_size=8"),
    ]  # fmt: skip
    assert loss["pairs"].tolist() == [8, 7, 7]  # the last cell of size 16 failed
    assert loss["difference"].tolist() == pytest.approx([-1 / 8, -3 / 16, -1 / 16])
    assert loss["p"].tolist() == pytest.approx([2 / 2**8, 2 / 2**7, 2 / 2**7])
    assert loss["p_holm"].tolist() == pytest.approx([6 / 2**8, 4 / 2**7, 4 / 2**7])
    console = Console(width=120, file=io.StringIO())
    show_comparison(compare_by(str(folder.path), "settings.hidden_size"), console)
    assert "hidden_size=16   hidden_size=4" in console.file.getvalue()


@pytest.mark.parametrize(
    ("axis", "message"),
    [("hidden_sise", "did you mean 'hidden_size'|settings.hidden_size"), ("model", "differ in")],
)
def test_an_axis_that_cannot_be_compared_is_told_in_one_line(axis, message, tmp_path):
    folder = new_run(tmp_path)
    for cell in (cell_of("gru", 4, 0), cell_of("mamba", 8, 0)):
        folder.save_cell(cell, {"loss": 1.0}, seconds=1.0)
    with pytest.raises(LrrayError, match=message):
        compare_by(str(folder.path), axis)


def test_what_cannot_be_compared_is_told_in_one_line(tmp_path, searched, agent_runs):
    lone = grid_of_cells(tmp_path, "a", {0: {"loss": 1.0}})
    cases = [
        (["nowhere"], {}, "nowhere: is neither a run's results folder nor a folder of W&B runs"),
        ([str(lone.path)], {}, "compare: these runs hold no search and share no cell"),
        ([str(agent_runs)], {"metric": "difficult"}, "did you mean 'difficulty'?"),
        (
            [str(searched["random"]), str(agent_runs)], {"metric": "difficulty"},
            "compare: all searches must have one metric",
        ),
        ([str(agent_runs)], {"reference": str(lone.path)}, "look for no common contour"),
    ]  # fmt: skip
    for sources, options, message in cases:
        with pytest.raises(LrrayError) as caught:
            compare(sources, **options)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_sweep_out_of_reach_is_told_in_one_line(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path)}  # no key there either
    environment.pop("WANDB_API_KEY", None)
    command = [str(Path(sys.executable).with_name("lrray")), "compare", "wandb:a/b/c"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith("wandb:a/b/c: W&B does not give this sweep: ")
    assert done.stderr.count("\n") == 1


def test_a_contour_that_is_gone_has_no_error_whatever_it_had_before():
    rows = [("a", 8, 0.5), ("a", 16, np.nan), ("a", 12, 0.4), ("b", 8, 0.3), ("b", 12, 0.2)]
    errors = pd.DataFrame(rows, columns=["match", "evaluations", "contour_error"])
    errors["series"] = "s"
    found = _errors_at(errors, "s", 16)
    assert math.isnan(found["a"])
    assert found["b"] == 0.2
    assert _errors_at(errors, "s", 12).to_dict() == {"a": 0.4, "b": 0.2}
    assert _errors_at(errors, "other", 16).empty


def test_searches_are_read_from_cells_whatever_became_of_the_journal(searched, tmp_path):
    """A run of lrray 0.2.0 has no proposals, and is read by its journal."""
    whole = [trace.trials for trace in read_traces(str(searched["level_set"]))]
    for gone in ("optuna.journal", "proposals"):
        copy = tmp_path / "study" / gone.replace("optuna.", "")
        shutil.copytree(searched["level_set"], copy)
        path = copy / gone
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        found = [trace.trials for trace in read_traces(str(copy))]
        for one, other in zip(found, whole, strict=True):
            pd.testing.assert_frame_equal(one, other)
