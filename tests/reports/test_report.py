"""Reports of grids and searches: what they say, from folders that studies write."""

from __future__ import annotations

import csv
import os
import re

import numpy as np
import pytest
from runs import cell_of, fill, finish, loss_of, new_run

from lrray.reports.content import Table
from lrray.reports.report import is_cheap, write_page, write_report
from lrray.reports.tables import latex_text, to_latex
from lrray.results.groups import groups_of, mean_curve, metrics_of
from lrray.results.record import DONE, CellRecord
from lrray.results.run import Run
from lrray.statistics import measured, summarize
from lrray.studies.cell import Cell
from lrray.text import in_words, with_error


@pytest.fixture
def folder(tmp_path):
    return new_run(tmp_path)


@pytest.fixture
def page(folder):
    finish(folder, len(fill(folder)))
    write_report(folder.path)
    return (folder.path / "report.html").read_text()


def rows(folder, name):
    with (folder.path / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_report_answers_in_one_sentence_with_numbers_errors_and_n(page):
    sentence = re.search(r'class="answer">(.*?)</dd>', page)[1]
    assert sentence == (
        "loss runs from 1.9575 ± 0.0050 (n = 2) at model=mamba hidden_size=16 to "
        "2.2500 ± 0.0058 (n = 3) at model=gru hidden_size=4 (17 of 18 cells done, 1 failed)."
    )


def test_the_report_holds_question_hypothesis_provenance_and_failures(page):
    assert "Which model learns &lt;fastest&gt; &amp; best?" in page
    assert "The larger one, for a while." in page
    assert "ValueError: it broke" in page
    for word in ("Python", "packages", "machine", "command", "revision"):
        assert f"<td>{word}</td>" in page
    assert "12 s in the command that ended the run" in page
    assert "26 s in cells, all attempts together" in page


def test_the_page_needs_nothing_but_itself(page):
    assert page.count('src="data:image/png;base64,') == 4
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert not re.findall(r"https?://|url\(|<script", page)
    assert "default-src 'none'" in page


def test_figures_and_tables_lie_beside_the_page(folder, page):
    for name in ("means_loss", "means_steps", "curves_loss", "curves_speed"):
        assert (folder.path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder.path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert len(rows(folder, "means.csv")) == 6
    assert rows(folder, "failed.csv")[0]["reason"] == "ValueError: it broke"


def test_the_table_holds_mean_standard_error_n_and_interval_over_seeds(folder, page):
    row = rows(folder, "means.csv")[0]
    expected = summarize([loss_of("gru", 4, seed) for seed in range(3)])
    assert (row["settings.model"], row["settings.hidden_size"], row["loss_n"]) == ("gru", "4", "3")
    for part, value in (
        ("loss", expected.mean), ("loss_se", expected.standard_error),
        ("loss_low", expected.low), ("loss_high", expected.high),
    ):  # fmt: skip
        assert float(row[part]) == pytest.approx(value)


def test_the_latex_table_is_whole_and_escaped(folder, page):
    text = (folder.path / "means.tex").read_text()
    assert r"settings.hidden\_size" in text
    assert r"gru & 4 & \num{2.2500 \pm 0.0058} & \num{200 \pm 0} & 3 \\" in text
    assert text.count(r"\\") == 7
    assert r"\begin{tabular}{lrrrr}" in text  # the last column is n: one setting lacks a seed
    rules = [line for line in text.splitlines() if line.endswith("rule")]
    assert rules == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert latex_text("a_b 5% & {x}^2 ~ $") == (
        r"a\_b 5\% \& \{x\}\textasciicircum{}2 \textasciitilde{} \$"
    )


def test_a_latex_table_says_n_once_where_it_can():
    same = [{"alpha_X": 0.1, "loss": summarize([1.0, 1.2])}, {"loss": summarize([2.0, 2.1])}]
    text = to_latex(Table("t", "By alpha_X.", same))
    assert r"\caption{By $\alpha_X$. Mean $\pm$ standard error, $n = 2$.}" in text
    assert r"$\alpha_X$ & loss \\" in text
    assert text.count("n =") == 1

    mixed = [{"loss": summarize([1.0, 1.2]), "size": summarize([1.0, 2.0, 3.0])}]
    assert r"\num{1.10 \pm 0.10} ($n = 2$) & \num{2.00 \pm 0.58} ($n = 3$)" in to_latex(
        Table("t", "Mixed.", mixed)
    )
    single = to_latex(Table("t", "One seed.", [{"loss": summarize([1.0])}]))
    assert r"\num{1}" in single
    assert "pm" not in single


def test_large_numbers_have_their_exponent_once():
    values = [{"tokens": summarize([1.0e7, 1.2e7])}]
    assert r"\num{1.10 \pm 0.10e7}" in to_latex(Table("t", "", values))


def test_a_page_to_commit_holds_the_report_its_files_and_the_authors_notes(folder, tmp_path):
    finish(folder, len(fill(folder)))
    target = tmp_path / "finding"
    write_page(folder.path, target)
    (target / "notes.md").write_text("## What it does not show\n\nMuch.\n")
    text = write_page(folder.path, target).read_text()
    assert "**Question.** Which model learns <fastest> & best?" in text
    assert text.index("## What it does not show") < text.index("## Where it comes from")
    linked = re.findall(r"\]\(([^)]+)\)", text)
    assert {name.rpartition(".")[2] for name in linked} == {"png", "csv"}
    assert all((target / name).stat().st_size > 0 for name in linked)
    tables = re.findall(r"^\|.*\|$", text, flags=re.MULTILINE)
    assert len(tables) > 8
    assert os.uname().nodename not in text


def test_a_run_without_any_cell_still_has_a_report(folder):
    page = write_report(folder.path)[0].read_text()
    assert "No cell has finished yet" in page
    assert "stopped" in page


def test_damaged_cells_are_left_out_and_left_alone(folder):
    cells = fill(folder)
    path = folder.cell_path(cells[0].id)
    path.write_text(path.read_text().replace("2.24", "0.24"))
    assert len(groups_of(Run(folder.path).wanted_records())[0].values("loss")) == 2
    assert path.exists()


def test_cells_of_earlier_settings_are_not_mixed_with_those_asked_for(folder):
    cells = fill(folder)
    settings = {**cells[0].settings, "function": "mine:other"}
    stale = Cell("function", settings, cells[0].axes, code="c0de")
    folder.save_cell(stale, {"loss": 99.0}, seconds=1.0)
    sizes = [len(group.records) for group in groups_of(Run(folder.path).wanted_records())]
    assert sorted(sizes) == [1, 2, 3, 3, 3, 3, 3]  # nothing is noted yet: apart
    folder.note_outdated(cell.id for cell in cells)
    sizes = [len(group.records) for group in groups_of(Run(folder.path).wanted_records())]
    assert sorted(sizes) == [2, 3, 3, 3, 3, 3]  # the study's own cells alone


def test_cells_that_repeat_seeds_count_each_of_them(folder):
    one = cell_of("gru", 8, 0)
    cell = Cell("function", {**one.settings, "seed": [0, 1, 2]}, {"lr": 0.1}, code="c0de")
    values = [1.0, 2.0, 4.0]
    result = {"num_seeds": 3, "loss": 7 / 3, "loss_se": 0.88, "per_seed": {"loss": values}}
    folder.save_cell(cell, result, seconds=1.0)
    (group,) = groups_of(Run(folder.path).wanted_records())
    assert metrics_of([group]) == ["loss"]
    assert group.summary("loss") == summarize(values)


def test_a_search_names_its_best_trial(tmp_path):
    search = {"metric": "loss", "mode": "min", "sampler": "tpe", "num_trials": 4}
    space = {"settings.lr": {"distribution": "log_uniform", "min": 0.001, "max": 1.0}}
    folder = new_run(tmp_path, search=search, search_space=space)
    for i, lr in enumerate((0.001, 0.01, 0.1, 1.0)):
        settings = {"function": "mine:train", "settings": {"lr": lr}, "seed": [0, 1]}
        result = {"num_seeds": 2, "loss": float(i), "per_seed": {"loss": [i - 0.1, i + 0.1]}}
        cell = Cell("function", settings, {"settings.lr": lr}, code="c0de")
        folder.save_cell(cell, result, seconds=1.0)
    page = write_report(folder.path)[0].read_text()
    assert "The lowest loss of 4 trials is 0.00 ± 0.10 (n = 2) at lr=0.001" in page
    assert (folder.path / "search.png").exists()


def test_settings_without_numbers_get_a_row_each_in_the_figure(folder):
    for model in ("gru", "mamba"):
        folder.save_cell(cell_of(model, 8, 0), {"loss": 1.0}, seconds=1.0)
    assert write_report(folder.path)[1].name == "means_loss.png"


def test_many_settings_are_shared_out_to_panels_and_the_rest_is_told(folder):
    for model in ("gru", "mamba"):
        for size in range(1, 31):
            cell = cell_of(model, size, 0)
            folder.append_metrics(cell.id, {"step": 0, "loss": 2.0})
            folder.append_metrics(cell.id, {"step": 1, "loss": 1.0})
            folder.save_cell(cell, {"loss": 1.0}, seconds=1.0)
    page = write_report(folder.path)[0].read_text()
    assert "14 of 60 settings are drawn" in page


def test_mean_curves_stand_where_all_seeds_have_values():
    one, two = [(0.0, 1.0), (10.0, 3.0)], [(5.0, 4.0), (10.0, 5.0), (15.0, 6.0)]
    curve = mean_curve([one, two, []])
    assert curve is not None
    assert curve.n == 2
    np.testing.assert_allclose(curve.steps, [5, 10])
    np.testing.assert_allclose(curve.mean, [3.0, 4.0])
    np.testing.assert_allclose(curve.error, [1.0, 1.0])
    alone = mean_curve([one])
    assert alone is not None
    assert np.isnan(alone.error).all()
    assert mean_curve([[(0.0, 1.0)], [(1.0, 1.0)]]) is None


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (0.754043, 0.003988, "0.7540 ± 0.0040"),
        (1234.5, 67.8, "1234 ± 68"),
        (3.0, 0.0, "3 ± 0"),
        (0.10000000000000002, 9.8e-18, "0.1 ± 0"),
        (2.5, None, "2.5"),
        (2.5, float("nan"), "2.5"),
        (0.0, 0.1, "0.00 ± 0.10"),
        (1.2345e-7, 2.3e-9, "1.235e-07 ± 2.3e-09"),
        (12_345_678.0, 1234.0, "1.23457e+07 ± 1.2e+03"),
        (-0.5, 12.0, "0 ± 12"),
    ],
)
def test_means_are_written_to_the_decimals_their_error_supports(mean, error, text):
    assert with_error(mean, error) == text


def test_known_errors_give_the_interval_that_the_values_themselves_give():
    values = [1.0, 2.0, 4.0, 8.0]
    direct = summarize(values)
    known = measured(direct.mean, direct.standard_error, 4)
    assert (known.low, known.high) == pytest.approx((direct.low, direct.high))
    assert in_words(measured(2.0, None, 1)) == "2 (n = 1)"


def test_only_small_runs_get_a_report_unasked(folder):
    fill(folder)
    assert is_cheap(folder.path)
    with (folder.path / "metrics" / "long.jsonl").open("w") as file:
        file.write('{"step": 0}\n' * 500_000)
    assert not is_cheap(folder.path)


def test_a_table_of_thousands_of_rows_is_cut_and_linked(tmp_path):
    folder = new_run(tmp_path)
    for i in range(1200):
        axes = {"settings.x": i}
        cell = Cell("function", {"settings": axes}, axes, "results 1")
        record = CellRecord.of(cell, DONE, 1.0, {"loss": float(i)})
        folder.cell_path(cell.id).write_text(record.to_json())
    write_report(folder.path)
    page = (folder.path / "report.html").read_text()
    table = page[page.index("Results of 1200 settings") :]
    assert table[: table.index("</tbody>")].count("<tr>") == 1001
    assert 'The first 1000 of 1200 rows; all are in <a href="means.csv">' in page
    assert len(rows(folder, "means.csv")) == 1200


def test_a_report_is_written_again_only_where_something_it_tells_of_has_changed(folder):
    finish(folder, len(fill(folder)))
    page, *figures = write_report(folder.path)
    written = page.stat().st_mtime_ns
    assert write_report(folder.path) == [page, *figures]
    assert page.stat().st_mtime_ns == written
    for change in (
        lambda: figures[0].unlink(),
        lambda: figures[0].with_suffix(".pdf").unlink(),
        lambda: next((folder.path / "cells").glob("*.json")).unlink(),
        lambda: (folder.path / "summary.json").write_text("{}"),
        lambda: page.with_name("report.json").write_text("damaged"),
    ):
        change()
        write_report(folder.path)
        assert page.stat().st_mtime_ns > written
        assert figures[0].with_suffix(".pdf").exists()
        written = page.stat().st_mtime_ns
