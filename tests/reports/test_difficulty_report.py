"""The report of a difficulty study that was really run, small as it is."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys

import pytest
from board_process import MAIN
from rich.console import Console

from lrray.kinds.difficulty.show import show
from lrray.reports.difficulty.report import answer, sections
from lrray.reports.report import write_report
from lrray.results.run import Run

SMALL = (
    "seeds=3", "search.num_trials=5", "pairs.num_seeds=4", "pairs.max_rounds=1", "seq_len=256",
    "entropy_sequences=2", "target.tolerance=0.2",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A study over two grid points; its own end wrote the report."""
    out = tmp_path_factory.mktemp("difficulty")
    words = ["study", "difficulty", *SMALL, "grid.sequences_per_seed=[2,3]", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *words], capture_output=True, text=True, timeout=300
    )
    (folder,) = (out / "difficulty").iterdir()
    assert f"report   {folder}/report.html" in done.stdout, done.stdout + done.stderr
    return folder


def test_the_study_wrote_its_report_figures_and_tables(run):
    page = (run / "report.html").read_text()
    assert '<span class="finished">' in page
    assert "for sequences_per_seed=2 with 0." in page
    assert "Equally hard at gzip = 0.75 bytes/token" in re.search(r'"answer">(.*?)</dd>', page)[1]
    assert page.count("data:image/png;base64,") == 1
    for name in ("contour.png", "contour.pdf", "pairs.csv", "pairs.tex", "search.csv"):
        assert (run / name).stat().st_size > 0


def test_tables_hold_every_pair_and_trial_of_each_grid_point_with_errors(run):
    summary = json.loads((run / "summary.json").read_text())
    with (run / "pairs.csv").open(newline="") as file:
        pairs = list(csv.DictReader(file))
    assert len(pairs) == len(summary["pairs"])
    for row, pair in zip(pairs, summary["pairs"], strict=True):
        assert float(row["gzip"]) == pair["gzip"]
        assert float(row["gzip_se"]) == pair["gzip_se"]
        assert row["gzip_n"] == "4"
        assert row["sequences_per_seed"] == str(pair["sequences_per_seed"])
    with (run / "search.csv").open(newline="") as file:
        trials = list(csv.DictReader(file))
    assert [row["sequences_per_seed"] for row in trials] == ["2"] * 5 + ["3"] * 5
    assert {row["entropy_bits_n"] for row in trials} == {"3"}


def test_a_study_without_a_pair_says_what_range_it_saw(run, tmp_path):
    folder = tmp_path / "difficulty" / "none"
    folder.mkdir(parents=True)
    for name in ("study.yaml", "provenance.json", "trials.csv"):
        (folder / name).write_bytes((run / name).read_bytes())
    summary = json.loads((run / "summary.json").read_text())
    for point in summary["points"]:
        point["range"] = [0.1, 0.6]
        point.pop("notes", None)
    summary["pairs"] = []
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "contour.json").write_text("{}")
    page = write_report(folder)[0].read_text()
    assert "None: difficulty ran from 0.1 to 0.6 and never met gzip = 0.75" in page


def test_a_contour_of_odd_shape_is_told_and_where_it_gives_no_pair_is_the_reason(run, tmp_path):
    folder = tmp_path / "difficulty" / run.name
    shutil.copytree(run, folder)
    summary = json.loads((run / "summary.json").read_text())
    first, second = summary["points"]
    first["notes"] = {first["searches"][0]: "has 2 pieces; all pairs lie on the longest"}
    second.pop("notes", None)
    (folder / "summary.json").write_text(json.dumps(summary))
    sentence = f"The contour of {first['searches'][0]} has 2 pieces; all pairs lie on the longest."
    assert sections(Run(folder))[0].text.endswith(f"gzip = 0.75. {sentence}")
    assert answer(Run(folder)) == answer(Run(run))
    summary["pairs"] = []
    (folder / "summary.json").write_text(json.dumps(summary))
    assert answer(Run(folder)) == f"None. {sentence}"
    console = Console(width=200, file=io.StringIO())
    show(summary, console)
    said = console.file.getvalue().splitlines()
    assert said[0] == "No pair for sequences_per_seed=2."
    assert said[-1] == sentence


def test_an_unended_study_says_so(run, tmp_path):
    folder = tmp_path / "difficulty" / "begun"
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_bytes((run / "study.yaml").read_bytes())
    page = write_report(folder)[0].read_text()
    assert "The run has not ended: there is no contour yet." in page
