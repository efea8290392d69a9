"""A study that takes its learning rates from another's run, and doubles its steps later."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrray.config import dump_yaml, load_yaml
from lrray.results.groups import groups_of
from lrray.results.run import Run, newest_runs
from tests.kinds.test_training_kind import PAIRS, TINY
from tests.studies.small_study import run

RATES = [0.001, 0.03]


@pytest.mark.slow
def test_rates_are_tuned_in_one_run_and_steps_doubled_in_the_next(tmp_path: Path) -> None:
    (tmp_path / "pairs.yaml").write_text(dump_yaml(PAIRS))
    pairs = TINY["grid"]["pair"]
    tuning = {**TINY, "grid": {"pair": pairs, "train.learning_rate": RATES, "seed": [7, 8]}}
    (tmp_path / "rates.yaml").write_text(dump_yaml(tuning))
    ended = run(tmp_path, "rates.yaml")
    assert ended.returncode == 0, ended.stdout + ended.stderr

    asked = {"best_of": "results/rates", "by": ["pair"], "metric": "excess_bits"}
    train = {**TINY["train"], "learning_rate": asked, "eval_every": 10}
    main = {**TINY, "train": train, "keep_checkpoints": True,
            "grid": {"pair": pairs, "seed": [0, 1]}}  # fmt: skip
    (tmp_path / "main.yaml").write_text(dump_yaml(main))
    planned = run(tmp_path, "main.yaml", "--plan")
    assert "smallest excess_bits of" in " ".join(planned.stdout.split())
    assert run(tmp_path, "main.yaml").returncode == 0

    double = {**main, "grid": {**main["grid"], "train.steps": [20, 40]}}
    (tmp_path / "main.yaml").write_text(dump_yaml(double))
    ended = run(tmp_path, "main.yaml", "--resume")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "running cells: 0 of 4" in ended.stdout  # the shorter ones are done
    assert "8 of 8 cells done" in ended.stdout

    (found,) = newest_runs(tmp_path / "results/main")
    best = {
        pair: min(RATES, key=lambda rate: mean_excess(tmp_path / "results/rates", pair, rate))
        for pair in pairs
    }
    for record in found.wanted_records():
        assert record.settings["train"]["learning_rate"] == best[record.axes["pair"]]
        evaluated = [p["step"] for p in found.metrics(record.id) if "excess_bits" in p]
        assert evaluated == list(range(10, record.settings["train"]["steps"] + 1, 10))
    kept = load_yaml(found.path / "study.yaml")["train"]["learning_rate"]
    assert {one["pair"]: one["value"] for one in kept["found"]} == best
    report = (found.path / "report.html").read_text()
    assert "Convergence" in report
    # Cells of before the axis are told from the others by their settings.
    groups = groups_of(found.wanted_records())
    assert sorted(group.axes["train.steps"] for group in groups) == [20, 20, 40, 40]


def mean_excess(folder: Path, pair: str, rate: float) -> float:
    (tuned,) = newest_runs(folder)
    return sum(
        record.result["excess_bits"] for record in Run(tuned.path).wanted_records()
        if (record.axes["pair"], record.axes["train.learning_rate"]) == (pair, rate)
    )  # fmt: skip
