"""Studies of the first question, from their files to their reports, at toy size."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrray.reports.report import write_report
from lrray.reports.train.report import answer, sections
from lrray.results.find import find_run
from lrray.results.run import Run
from tests.studies.small_study import run

TOY = (
    "model.num_hidden_layers=1", "model.num_attention_heads=2", "train.steps=4", "train.seq_len=16",
    "train.batch_size=4", "train.eval_sequences=16", "train.eval_every=2",
    "train.checkpoint_every=2", "resources.cpu=1", "resources.gpu=0",
)  # fmt: skip
ENDS = "[easy_to_infer, easy_to_predict]"

pytestmark = pytest.mark.slow


def finished(folder: Path, name: str, *words: str) -> Run:
    done = run(folder, name, *TOY, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = find_run(str(folder / "results" / name))
    assert found.summary["failed"] == 0
    return found


def titles(found: Run) -> set[str]:
    return {section.title for section in sections(found)}


def test_the_registered_design_runs_from_rates_to_its_answer(tmp_path: Path) -> None:
    refused = run(tmp_path, "latents", "--plan")
    assert refused.returncode == 2
    assert "train.learning_rate.best_of: " in refused.stderr + refused.stdout
    finished(tmp_path, "latents_lr", "model.hidden_size=16", "train.learning_rate=[0.001, 0.01]")
    also = f"{{pair: {ENDS}, seed: [0, 1], surrogate: [2]}}"
    doubled = f"{{pair: {ENDS}, seed: [0, 1], train.steps: [8]}}"
    found = finished(
        tmp_path, "latents", "model.hidden_size=16", "seed=[0, 1]", f"also=[{also}, {doubled}]"
    )
    assert len(list(found.wanted_records())) == 5 * 2 + 2 * 2 + 2 * 2
    said = answer(found)
    assert "Along the contour from easy-to-infer to easy-to-predict" in said
    assert "order-2 surrogates" in said
    assert {"Along the contour", "Latents or n-grams", "Convergence"} <= titles(found)
    rates = {record.settings["train"]["learning_rate"] for record in found.wanted_records()}
    assert rates <= {0.001, 0.01}


def test_earlier_works_settings_run(tmp_path: Path) -> None:
    names = "pair=[easy_to_infer, between_6, easy_to_predict]"
    small = ("seed=[0, 1]", "model.hidden_size=[8]", "train.precision=float32", names)
    found = finished(tmp_path, "earlier_work", *small)
    for record in found.wanted_records():
        train = record.settings["train"]
        assert (train["weight_decay"], train["betas"][1]) == (0, 0.95)
        assert train["max_grad_norm"] is None
    assert "Along the contour" in titles(found)


def test_excess_is_drawn_against_the_bound(tmp_path: Path) -> None:
    words = ("model.hidden_size=16", "alpha_X=[0.001, 0.03, 0.3]", "alpha_Z=[0.001, 0.1]")
    found = finished(tmp_path, "excess_vs_bound", *words, "seed=[0]")
    assert answer(found).startswith("Rank correlations of excess loss over 6 settings: exact bound")
    write_report(found.path)
    assert (found.path / "excess_vs_bound.png").exists()


def test_a_switch_is_followed_or_not(tmp_path: Path) -> None:
    switch = "switch={latent: Z2, at: 8}"
    found = finished(tmp_path, "adaptation", "model.hidden_size=16", "seed=[0]", switch)
    for record in found.wanted_records():
        assert record.result["kl_after_switch_bits"] > 0
        assert "kl_after_switch_by_distance_bits/4-7" in record.result
    write_report(found.path)
    assert (found.path / "adaptation.png").exists()
