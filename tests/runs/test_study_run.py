"""A whole difficulty study on Ray, as a user runs it: what it writes and what it says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import optuna
import pandas as pd
import pytest
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from lrray.results.folder import RunFolder
from tests.studies.small_study import STUDY, run, write

pytestmark = pytest.mark.slow

NUM_TRIALS = STUDY["search"]["num_trials"]

SAID = [
    r"Where is a small graph equally hard\?",
    r"starting Ray …",
    r"(watch|  ) .*",
    r"searching the contour(: \d+ of \d+.*)?",
    r"measuring the pairs on fresh draws(: \d+ of \d+.*)?",
    r"(drawing figures|writing the report)",
    r"",
    r"Pairs of gzip = 0.35 bytes/token, measured again on fresh kernel draws",
    r" +gzip +entropy *",
    r"pair +alpha_X +alpha_Z +bytes/token +bits/token *",
    r"─+",
    r"easy to (infer|predict) +[\d.]+ +[\d.]+ +[\d.]+ ± [\d.]+ +[\d.]+ ± [\d.]+ +ok *",
    r"easy-to-infer minus easy-to-predict, gzip: [-+][\d.]+ \(95 % interval .*",
    r"[-+ \d.to]*\)?;? ?(not )?shown to be within .*",
    r"(report|figure|results) .*",
]
"""All that a good run says where its output is no terminal."""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The finished command and its results folder."""
    place = tmp_path_factory.mktemp("run")
    write(place)
    process = run(place, "small.yaml", "compressors=[bz2]")
    (folder,) = (place / "results" / "small").iterdir()
    return process, folder


def test_it_ends_well(done) -> None:
    assert done[0].returncode == 0, done[0].stderr


def test_it_says_its_answer_and_nothing_else(done) -> None:
    process, folder = done
    assert process.stderr == ""
    for line in process.stdout.splitlines():
        assert any(re.fullmatch(pattern, line) for pattern in SAID), line
        assert len(line) <= 80 or str(folder.name) in line
    assert f"results  results/small/{folder.name}" in process.stdout


def test_the_results_folder_is_complete(done) -> None:
    names = {path.name for path in done[1].iterdir()}
    assert {
        "study.yaml", "provenance.json", "trials.csv", "pairs.yaml", "summary.json", "status.json",
        "contour.png", "contour.json", "optuna.journal", "cells",
    } <= names  # fmt: skip
    assert not {"lock.json", "quarantine", "failures"} & names
    assert list((done[1] / "attempts").iterdir()) == []
    assert not list(done[1].rglob("*.tmp"))


def test_trials_have_a_row_each(done) -> None:
    table = pd.read_csv(done[1] / "trials.csv")
    assert table["trial"].tolist() == list(range(NUM_TRIALS))
    assert {
        "trial", "alpha_X", "alpha_Z", "difficulty", "difficulty_se", "gzip", "gzip_se",
        "entropy_bits", "entropy_bits_se", "bz2", "bz2_se", "seconds",
    } <= set(table.columns)  # fmt: skip
    assert table.notna().all(axis=None)
    assert (table["difficulty"] == table["gzip"]).all()
    assert table["alpha_X"].between(0.01, 1).all()


def test_pairs_say_where_they_are_and_how_well_they_fit(done) -> None:
    pairs = yaml.safe_load((done[1] / "pairs.yaml").read_text())
    assert [pair["name"] for pair in pairs["pairs"]] == ["easy_to_infer", "easy_to_predict"]
    assert len(pairs["graph"]["nodes"]) == 2
    assert pairs["target"] == {"metric": "gzip", "value": 0.35, "tolerance": 0.2}
    for pair in pairs["pairs"]:
        assert pair["within_tolerance"]
        assert pair["num_seeds"] == STUDY["pairs"]["num_seeds"]
        assert pair["difficulty_se"] > 0
        assert pair["entropy_bits"] > 0


def test_the_summary_agrees_with_the_other_files(done) -> None:
    summary = json.loads((done[1] / "summary.json").read_text())
    assert summary["trials"] == NUM_TRIALS
    assert summary["failed"] == 0
    assert summary["pairs"] == yaml.safe_load((done[1] / "pairs.yaml").read_text())["pairs"]
    records = list(RunFolder(done[1]).cells())
    assert summary["cell_seconds"] == pytest.approx(sum(record.seconds for record in records))
    assert summary["wall_seconds"] > 0


def test_provenance_names_code_versions_machine_and_command(done) -> None:
    provenance = json.loads((done[1] / "provenance.json").read_text())
    assert provenance["command"] == ["lrray", "study", "small.yaml", "compressors=[bz2]"]
    assert provenance["versions"]["ray"]
    assert provenance["zlib_runtime"]
    assert provenance["machine"]["cores"] >= 1
    assert set(provenance["git"]) == {"revision", "changed"}


def test_the_resolved_study_runs_the_same(done) -> None:
    resolved = yaml.safe_load((done[1] / "study.yaml").read_text())
    assert resolved["compressors"] == ["bz2"]
    assert resolved["seq_len"] == STUDY["seq_len"]
    assert resolved["search"]["sampler"] == "level_set"  # a default, written out


def test_the_figure_is_a_picture(done) -> None:
    assert (done[1] / "contour.png").read_bytes().startswith(b"\x89PNG")


def test_the_search_can_be_read_by_optuna(done) -> None:
    journal = JournalStorage(JournalFileBackend(str(done[1] / "optuna.journal")))
    study = optuna.load_study(study_name="mean", storage=journal)
    assert len(study.trials) == NUM_TRIALS
    assert all("difficulty" in trial.user_attrs for trial in study.trials)


def test_the_same_study_gives_the_same_numbers_for_the_same_alphas(done) -> None:
    """The startup trials of two runs are equal to the last digit."""
    place = done[1].parents[2]
    again = run(place, "small.yaml", "compressors=[bz2]", "search.num_trials=4", "--out", "again")
    assert again.returncode in (0, 1)
    (folder,) = (place / "again" / "small").iterdir()
    columns = ["alpha_X", "alpha_Z", "gzip", "entropy_bits", "bz2"]
    tables = [pd.read_csv(path / "trials.csv")[columns].head(4) for path in (done[1], folder)]
    assert tables[0].equals(tables[1])


def test_a_target_that_is_never_met_is_said_so(tmp_path) -> None:
    write(tmp_path, target={"value": 0.02}, search={"num_trials": 4})
    process = run(tmp_path, "small.yaml")
    assert process.returncode == 1
    assert "No pair: difficulty ran from" in process.stdout
    assert process.stderr == ""


def test_a_study_whose_every_cell_fails_says_so_without_a_traceback(tmp_path) -> None:
    write(tmp_path, resources={"memory_gb": 0.01}, seeds=64, seq_len=2048, search={"num_trials": 2})
    process = run(tmp_path, "small.yaml")
    assert process.returncode == 1
    assert "Traceback" not in process.stdout + process.stderr
    assert "2 cells failed" in process.stdout
    (folder,) = (tmp_path / "results" / "small").iterdir()
    json.loads((folder / "summary.json").read_text(), parse_constant=pytest.fail)


def test_the_published_alphas_come_out_for_their_own_seed(tmp_path) -> None:
    process = run(tmp_path, "difficulty_published")
    assert process.returncode == 0, process.stdout + process.stderr
    (folder,) = (tmp_path / "results" / "difficulty_published").iterdir()
    infer, predict = yaml.safe_load((folder / "pairs.yaml").read_text())["pairs"]
    for pair in (infer, predict):
        assert pair["seed"] == 42
        assert abs(pair["difficulty"] - 0.75) <= 0.01
    assert infer["alpha_X"] == pytest.approx(1e-3)
    assert infer["alpha_Z"] == pytest.approx(0.142, rel=0.35)
    assert predict["alpha_Z"] == pytest.approx(1e-3)
    assert predict["alpha_X"] == pytest.approx(0.057, rel=0.35)
