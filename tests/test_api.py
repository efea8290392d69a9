"""lrray in a notebook: what is imported, what a run is asked, and what a wrong name is answered."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import lrray
from lrray.config import dump_yaml
from lrray.errors import LrrayError
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.gssm import GSSM
from lrray.kinds.train.kind import Study
from lrray.results.folder import RunFolder
from lrray.statistics import summarize
from lrray.studies.cell import Cell, make_cell
from lrray.studies.grid import expand
from lrray.twohop.facts import shipped_facts
from tests.kinds.test_training_kind import PAIRS, TINY
from tests.reports.runs import fill, finish, loss_of, new_run
from tests.twohop.run_experiments import small

mpl.use("agg")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = new_run(tmp_path / "results")
    finish(folder, len(fill(folder)))
    return folder


@pytest.fixture
def run(folder: RunFolder) -> lrray.Run:
    return lrray.load(folder.path)


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh Python has after some code."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_importing_lrray_imports_nothing_heavy() -> None:
    heavy = {"numpy", "pandas", "scipy", "torch", "ray", "matplotlib", "pydantic", "yaml", "optuna"}
    assert not heavy & loaded_by("import lrray")


def test_reading_a_run_imports_neither_ray_nor_torch_nor_matplotlib(folder: RunFolder) -> None:
    code = (
        f"import lrray\nrun = lrray.load({str(folder.path)!r})\n"
        "run.cells, run.summary, run.curves('loss'), run.means('loss'), run.best(), repr(run)"
    )
    heavy = {"ray", "torch", "transformers", "wandb", "matplotlib", "optuna", "sklearn"}
    assert not heavy & loaded_by(code)


def test_an_unknown_name_of_lrray_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        lrray.lod  # noqa: B018
    assert {"load", "compare", "Run", "GSSM"} <= set(dir(lrray))
    assert lrray.__version__


def test_a_study_s_folder_stands_for_its_newest_run_with_cells(tmp_path: Path) -> None:
    older, newer = new_run(tmp_path, "models"), new_run(tmp_path, "models")
    older, newer = sorted((older, newer), key=lambda one: one.path.name)
    fill(older)
    assert lrray.load(tmp_path / "models").path == older.path.resolve()
    fill(newer)
    assert lrray.load(tmp_path / "models").path == newer.path.resolve()


def test_a_study_is_found_below_results_by_its_name(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path.parents[2])
    assert lrray.load("models").path == folder.path.resolve()


def message(act: Any) -> str:
    with pytest.raises(LrrayError) as error:
        act()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_wrong_names_are_answered_with_the_right_ones(run: lrray.Run, tmp_path: Path) -> None:
    results = run.path.parents[1]
    assert "no such run (fix: did you mean 'models'?)" in message(
        lambda: lrray.load(results / "model")
    )
    new_run(results, "others")
    assert "holds several studies (fix: add one of models, others)" in message(
        lambda: lrray.load(results)
    )
    assert "holds no run" in message(lambda: lrray.load(tmp_path))
    assert (
        "must be given a number that its cells gave, but got 'los' (fix: did you mean 'loss'"
        in (message(lambda: run.means("los")))
    )
    assert "but got 'sped' (fix: did you mean 'speed'" in message(lambda: run.curves("sped"))
    assert "axis of its grid, but got 'size'" in message(lambda: run.means("loss", by=["size"]))
    assert "searches nothing" in message(lambda: run.trials)
    assert "has no matched pairs" in message(lambda: run.pairs)
    assert "cell that has ended, but got 'zz'" in message(lambda: run.graph("zz"))
    assert "have no GSSM" in message(lambda: run.graph(run.cells.iloc[0]))
    assert "train no model" in message(lambda: run.model(run.cells.iloc[0]["id"]))


def test_cells_are_rows_with_their_axes_and_numbers(run: lrray.Run) -> None:
    cells = run.cells
    assert len(cells) == 18
    assert cells["state"].value_counts().to_dict() == {"done": 17, "failed": 1}
    done = cells[cells["state"] == "done"]
    for row in done.to_dict("records"):
        axes = [row[f"settings.{name}"] for name in ("model", "hidden_size")]
        assert row["loss"] == pytest.approx(loss_of(*axes, row["seed"]))


def test_a_cell_that_ends_later_is_there_when_asked_again(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    run = lrray.Run(folder.path)
    assert len(run.cells) == 0
    cells = fill(folder)
    assert len(run.cells) == len(cells)
    folder.cell_path(cells[0].id).unlink()
    assert len(run.cells) == len(cells) - 1


def test_means_are_over_seeds_by_the_last_word_of_an_axis(run: lrray.Run) -> None:
    table = run.means("loss", by=["model", "hidden_size"])
    assert list(table.columns) == [
        "settings.model", "settings.hidden_size", "mean", "se", "n", "low", "high"
    ]  # fmt: skip
    pd.testing.assert_frame_equal(table, run.means("loss"))
    row = table[(table["settings.model"] == "gru") & (table["settings.hidden_size"] == 8)].iloc[0]
    expected = summarize([loss_of("gru", 8, seed) for seed in range(3)])
    assert (row["mean"], row["se"], row["n"]) == pytest.approx(
        (expected.mean, expected.standard_error, 3)
    )


def test_curves_are_tidy(run: lrray.Run) -> None:
    curves = run.curves("loss")
    assert list(curves.columns) == [
        "id", "settings.model", "settings.hidden_size", "seed", "step", "tokens", "time", "value"
    ]  # fmt: skip
    assert len(curves) == 17 * 20
    first = curves[curves["id"] == curves["id"].iloc[0]].iloc[5]
    axes = [first["settings.model"], first["settings.hidden_size"], first["seed"]]
    assert first["step"] == 50
    assert first["value"] == pytest.approx(loss_of(*axes) + math.exp(-1))


def test_the_best_cell_of_every_condition(run: lrray.Run) -> None:
    best = run.best(by=["model"]).set_index("settings.model")
    assert best["settings.hidden_size"].to_dict() == {"gru": 16, "mamba": 16}
    assert best["seed"].to_dict() == {"gru": 0, "mamba": 0}
    (worst,) = run.best(name="loss", mode="max").to_dict("records")
    assert (worst["settings.model"], worst["settings.hidden_size"], worst["seed"]) == ("gru", 4, 2)


def test_a_search_has_trials_and_is_judged_by_its_metric(tmp_path: Path) -> None:
    search = {"metric": "score", "mode": "max", "num_trials": 3, "sampler": "random"}
    folder = new_run(tmp_path, search=search)
    for rate in (0.3, 0.1, 0.2):
        cell = Cell("function", {"rate": rate}, {"settings.rate": rate}, "c0de")
        folder.save_cell(cell, {"loss": -rate, "score": rate}, 1.0)
    run = lrray.load(folder.path)
    assert list(run.trials["settings.rate"]) == [0.3, 0.1, 0.2]
    assert run.best().iloc[0]["score"] == 0.3


def test_a_plot_over_an_axis_shows_means_with_their_errors(run: lrray.Run) -> None:
    axes = run.plot("loss", x="hidden_size", hue="model")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("hidden_size", "loss")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "model=gru", "model=mamba"
    ]  # fmt: skip
    drawn = axes.containers[0].lines[0].get_xydata()
    expected = [[size, loss_of("gru", size, 1)] for size in (4, 8, 16)]
    assert np.allclose(drawn, expected)
    assert not axes.spines["top"].get_visible()


def test_a_plot_of_curves_has_a_line_per_condition_or_hue(run: lrray.Run) -> None:
    assert len(run.plot("loss").lines) == 6
    axes = run.plot("loss", hue="settings.model")
    assert [line.get_label() for line in axes.lines] == ["model=gru (n = 3)", "model=mamba (n = 2)"]
    names = run.plot("loss", x="model")
    assert [text.get_text() for text in names.get_xticklabels()] == ["gru", "mamba"]
    assert run.plot("speed", ax=names) is names


def test_a_run_shows_itself_in_a_line_and_as_html(run: lrray.Run) -> None:
    assert repr(run) == f"<Run {run.name}: function, finished, cells: 17 done, 1 failed>"
    page = run._repr_html_()
    assert "Which model learns &lt;fastest&gt; &amp; best?" in page
    assert "17 done, 1 failed" in page


def test_two_runs_are_compared_by_the_cells_they_share(run: lrray.Run, tmp_path: Path) -> None:
    other = new_run(tmp_path, "others")
    fill(other)
    paired = lrray.compare(run, other.path).paired.set_index("number")
    assert paired.loc["loss", "pairs"] == 17
    assert paired.loc["loss", "difference"] == 0


def ended(folder: RunFolder, cell: Cell) -> lrray.Run:
    record = run_durably(cell, folder, Limits(max_failures=0))
    assert record.state == "done", record
    return lrray.load(folder.path)


def trained(tmp_path: Path, seeds: tuple[int, ...] = (), **changes: Any) -> lrray.Run:
    data = {**TINY, "pairs": PAIRS, **changes}
    point = expand(data, Study, "tiny.yaml")[0]
    folder = RunFolder.create(tmp_path, "tiny")
    folder.write_text("study.yaml", dump_yaml(data))
    return ended(folder, make_cell(point.study, point.axes, seeds))


def test_a_trained_model_comes_back_with_its_graph_and_gives_the_loss_it_was_measured_at(
    tmp_path: Path,
) -> None:
    import torch

    from lrray.training.distributed import ALONE
    from lrray.training.evaluate import evaluate
    from lrray.training.heldout import make_heldout

    run = trained(tmp_path)
    row = run.cells.iloc[0]
    model, graph = run.model(row), run.graph(row)
    assert not model.training
    heldout = make_heldout(graph, 8, 16, None, ALONE)
    with torch.no_grad():
        again = evaluate(model, heldout, ALONE, 8, False)
    assert again.loss_bits == pytest.approx(row["loss_bits"], rel=1e-6)
    assert graph.vocab_size == 4


def test_weights_are_kept_unless_they_are_not_to_be(tmp_path: Path) -> None:
    run = trained(tmp_path, keep_weights=False)
    assert "kept no weights (fix: set keep_weights: true" in message(
        lambda: run.model(run.cells.iloc[0])
    )
    assert not (run.path / "weights").exists()


def test_large_models_keep_their_weights_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrray.kinds.weights.SMALL_BYTES", 100)
    assert not (trained(tmp_path).path / "weights").exists()
    run = trained(tmp_path, keep_weights=True)
    assert run.model(run.cells["id"].iloc[0])


def test_keeping_weights_is_no_part_of_a_cells_identity() -> None:
    cells = [
        make_cell(expand({**TINY, "pairs": PAIRS, **own}, Study, "f.yaml")[0].study, {})
        for own in ({}, {"keep_weights": True}, {"keep_weights": False})
    ]
    assert len({cell.id for cell in cells}) == 1


def test_a_cell_that_repeats_seeds_has_a_model_for_each(tmp_path: Path) -> None:
    run = trained(tmp_path, seeds=(3, 4))
    cell = run.cells.iloc[0]
    assert "repeats several seeds: name one" in message(lambda: run.model(cell))
    weights = [next(iter(run.model(cell, seed=seed).parameters())) for seed in (3, 4)]
    assert not bool((weights[0] == weights[1]).all())
    assert isinstance(run.graph(cell, seed=4), GSSM)


def test_a_two_hop_study_keeps_fine_tuned_weights_when_asked(tmp_path: Path) -> None:
    from lrray.kinds.twohop import Study as TwoHop

    data = {
        "kind": "twohop", "question": "?", "hypothesis": "!", **small(), "dataset": "parks",
        "keep_weights": True,
    }  # fmt: skip
    study = expand(data, TwoHop, "two.yaml")[0].study
    folder = RunFolder.create(tmp_path, "two")
    folder.write_text("study.yaml", dump_yaml(data))
    run = ended(folder, make_cell(study, {}))
    model, cell = run.model(run.cells.iloc[0]), run.cells.iloc[0]
    gap = _measured_again(model, study, run.record(cell["id"]).settings)
    assert gap["eval/2hop_nocot_loss"] == pytest.approx(cell["eval/2hop_nocot_loss"], rel=1e-4)


def _measured_again(model: Any, study: Any, settings: Any) -> dict[str, float]:
    from lrray.training.distributed import ALONE
    from lrray.twohop.answering import Answering
    from lrray.twohop.config import ExperimentConfig
    from lrray.twohop.evaluate import evaluate
    from lrray.twohop.experiment import _Run
    from lrray.twohop.splits import BuildConfig
    from lrray.twohop.tasks import make_task

    names = ExperimentConfig.model_fields
    config = ExperimentConfig.model_validate({name: settings[name] for name in names})
    facts = shipped_facts("parks")
    build = BuildConfig(seed=settings["seed"], **config.data.model_dump())
    task = make_task(config.task, facts, build)
    chat = _Run(facts, build, task, config, ALONE, Path(), lambda: None).model(False)[1]
    asked = Answering(model, chat, ALONE, config.evaluate.batch_size, False)
    return evaluate(asked, task.splits, config.evaluate, generate=False, second_hop=False).metrics
